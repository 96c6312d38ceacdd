/** The steps of a run: what is done to three hosts, and what has to come of it. The first one that goes wrong ends it. */
import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { DrainResponse } from '#protocol/rest/drain.js'
import type { DiskResponse } from '#protocol/rest/storage-check.js'
import { pause } from '../support/faults.js'
import type { BootedHost } from './booted-host.js'
import { JOBMANAGER, SESSION_TIMEOUT_S, TASKMANAGER, UNITS } from './installed-hosts.js'
import { type Leader, type Task, WatchedJob } from './watched-job.js'

const WITHIN_MS = 180_000
const POLL_MS = 20

export interface BootRunOptions {
  readonly hosts: readonly BootedHost[]
  readonly shared: string
  /** Where journals are kept, when something went wrong. */
  readonly journals: string
  /** Also when all went well. */
  readonly keep: boolean
  readonly short: boolean
  readonly tell: (line: string) => void
}
/** Of a job that runs well. */
interface Well {
  readonly leader: Leader
  readonly restarts: number
  readonly tasks: Readonly<Record<string, Task>>
  readonly checkpoint: number
}

export class BootRun {
  readonly #began = performance.now()
  readonly #job: WatchedJob

  constructor(private readonly options: BootRunOptions) {
    this.#job = new WatchedJob(options.hosts, options.shared)
  }

  async run(): Promise<boolean> {
    const { short } = this.options
    try {
      await this.#step('three hosts boot', () => this.#boot())
      await this.#step('a job is submitted', () => this.#submit())
      await this.#step('systemctl stop of the leader', () => this.#stopLeader())
      await this.#step('kill -9 of the leader', () => this.#killLeader())
      await this.#step('the leader hangs', () => this.#hang(JOBMANAGER))
      if (!short) await this.#step('a TaskManager hangs', () => this.#hang(TASKMANAGER))
      await this.#step('systemctl stop of a TaskManager', () => this.#stopTaskManager())
      await this.#step('power cut of all hosts', () =>
        this.#reboot(
          (host) => host.cutPower(),
          () => this.#leftBehindReleased(),
        ),
      )
      if (!short) await this.#step('systemctl reboot of all hosts', () => this.#reboot((host) => host.shutDown()))
      await this.#step('the job ends', () => this.#finish())
      if (this.options.keep) await this.#saveJournals()
      return true
    } catch (error) {
      this.options.tell(`FAILED: ${error instanceof Error ? error.message : String(error)}`)
      await this.#saveJournals()
      return false
    }
  }
  async #saveJournals(): Promise<void> {
    const { hosts, journals } = this.options
    mkdirSync(journals, { recursive: true })
    for (const host of hosts) writeFileSync(join(journals, `${host.name}.journal`), await host.wholeJournal().catch(String))
  }

  async #step(what: string, act: () => Promise<string>): Promise<void> {
    const began = performance.now()
    const outcome = await act()
    assert.deepEqual(this.#job.mistakes(), [], 'the output of the job')
    const seconds = (from: number) => `${((performance.now() - from) / 1_000).toFixed(1)} s`
    this.options.tell(`${seconds(this.#began).padStart(8)}  ${what} (${seconds(began)}): ${outcome}`)
  }

  async #boot(): Promise<string> {
    const { hosts } = this.options
    const began = performance.now()
    await Promise.all(hosts.map((host) => host.boot()))
    const booted = performance.now() - began
    await this.#eventually('all units are active', () => this.#allActive())
    const running = performance.now() - began
    await this.#inOrder()
    await this.#eventually('three TaskManagers are registered', async () => (await this.#job.taskManagers()) === hosts.length)
    await this.#eventually('three JobManagers are in sync', async () => {
      const disk = await this.#job.get<DiskResponse>('/flott/disk')
      return disk?.['in-sync-set'].length === hosts.length
    })
    return `systemd answers after ${ms(booted)}, all units are active after ${ms(running)}, all daemons are registered`
  }
  async #allActive(): Promise<boolean> {
    const states = await Promise.all(this.options.hosts.flatMap((host) => UNITS.map((unit) => host.unit(unit))))
    return states.every(({ activeState }) => activeState === 'active')
  }
  /** On each host, since its last boot: a unit's process starts when the one before it in order is active, and none had to be started twice. */
  async #inOrder(): Promise<void> {
    for (const host of this.options.hosts) {
      const [zookeeper, jobManager, taskManager] = await Promise.all(UNITS.map((unit) => host.unit(unit)))
      assert.ok(zookeeper!.activeUs <= jobManager!.startedUs, `${host.name}: the JobManager did not wait for ZooKeeper`)
      assert.ok(jobManager!.activeUs <= taskManager!.startedUs, `${host.name}: the TaskManager did not wait for the JobManager`)
      for (const [i, { restarts }] of [zookeeper!, jobManager!, taskManager!].entries())
        assert.equal(restarts, 0, `${host.name}: starts of ${UNITS[i]} that failed`)
    }
  }

  async #submit(): Promise<string> {
    await this.#job.submit()
    const { tasks, leader } = await this.#well(0)
    return `${Object.keys(tasks).length} tasks run, ${leader['jobmanager-id']} leads`
  }

  async #stopLeader(): Promise<string> {
    const before = await this.#well()
    const { leading, other } = this.#hostsOf(before)
    this.#job.gaps()
    const began = performance.now()
    const stopping = leading.must('systemctl', 'stop', JOBMANAGER)
    const { lostMs, servingMs } = await this.#nextLeader(other, before, began)
    await stopping
    const stoppedMs = performance.now() - began
    const { activeState, result, exitStatus } = await leading.unit(JOBMANAGER)
    assert.deepEqual({ activeState, result, exitStatus }, { activeState: 'inactive', result: 'success', exitStatus: 0 })
    await this.#untouched(before)
    await leading.must('systemctl', 'start', JOBMANAGER)
    return `${other.name} sees the next leader ${ms(servingMs)} after the command, ${ms(servingMs - lostMs)} after the last answer of the old one; stopped after ${ms(stoppedMs)}; ${this.#noTaskRestarted()}`
  }

  async #killLeader(): Promise<string> {
    const before = await this.#well()
    const { leading, other } = this.#hostsOf(before)
    const { restarts } = await leading.unit(JOBMANAGER)
    this.#job.gaps()
    await leading.signal(JOBMANAGER, 'SIGKILL')
    const began = performance.now()
    const { servingMs } = await this.#nextLeader(other, before, began)
    await this.#released(leading, servingMs)
    await this.#untouched(before)
    await this.#eventually('systemd starts it again', async () => (await leading.unit(JOBMANAGER)).activeState === 'active')
    assert.equal((await leading.unit(JOBMANAGER)).restarts, restarts + 1)
    return `${other.name} sees the next leader after ${ms(servingMs)}; ${this.#noTaskRestarted()}; the unit is active again`
  }
  /** By the supervisor, and not by the end of the session's time. */
  async #released(host: BootedHost, servingMs: number): Promise<void> {
    assert.match(await host.journal('--boot', '--unit', JOBMANAGER), /Closed the ZooKeeper session/)
    assert.ok(servingMs < SESSION_TIMEOUT_S * 1_000, `the next leader came after ${servingMs} ms, when the session had ended anyway`)
  }

  /** A process that does nothing any more is killed by systemd, and started again. */
  async #hang(unit: typeof JOBMANAGER | typeof TASKMANAGER): Promise<string> {
    const before = await this.#well()
    const { leading } = this.#hostsOf(before)
    const busy = new Set(Object.values(before.tasks).map(({ taskManagerId }) => taskManagerId))
    const victim = unit === JOBMANAGER ? leading : this.options.hosts.find(({ name }) => busy.has(`${name}-1`))!
    const { restarts } = await victim.unit(unit)
    const began = performance.now()
    this.#job.gaps()
    await victim.signal(unit, 'SIGSTOP')
    await this.#eventually('it is killed and started again', async () => {
      const state = await victim.unit(unit)
      return state.restarts > restarts && state.activeState === 'active'
    })
    const backMs = performance.now() - began
    assert.match(await victim.journal('--boot', '--unit', unit), /Watchdog timeout/)
    const after = await this.#well(before.checkpoint)
    if (unit === JOBMANAGER) await this.#untouched(before)
    const { gaps } = this.#gapText()
    return `active again after ${ms(backMs)}; the job goes on${unit === JOBMANAGER ? ', no task restarted' : `, ${after.restarts - before.restarts} restart(s)`}, ${gaps}`
  }

  async #stopTaskManager(): Promise<string> {
    const before = await this.#well()
    const victim = this.options.hosts.find(({ name }) =>
      Object.values(before.tasks).some(({ taskManagerId }) => taskManagerId === `${name}-1`),
    )!
    const id = `${victim.name}-1`
    this.#job.gaps()
    const began = performance.now()
    await victim.must('systemctl', 'stop', TASKMANAGER)
    const stoppedMs = performance.now() - began
    const { activeState, result, exitStatus } = await victim.unit(TASKMANAGER)
    assert.deepEqual({ activeState, result, exitStatus }, { activeState: 'inactive', result: 'success', exitStatus: 0 })
    const drain = await this.#job.get<DrainResponse>(`/flott/taskmanagers/${id}/drain`)
    assert.equal(drain?.state, 'DRAINED')
    const after = await this.#well(before.checkpoint)
    assert.deepEqual(
      Object.values(after.tasks).filter(({ taskManagerId }) => taskManagerId === id),
      [],
    )
    const { gaps } = this.#gapText()
    await victim.must('systemctl', 'start', TASKMANAGER)
    await this.#eventually('it is registered again', async () => (await this.#job.taskManagers()) === this.options.hosts.length)
    return `its tasks moved and it ended after ${ms(stoppedMs)}, ${gaps}; started again`
  }

  /** No session has to end by its time-out: each JobManager closes that of its predecessor. */
  async #leftBehindReleased(): Promise<void> {
    for (const host of this.options.hosts)
      assert.match(await host.journal('--boot', '--unit', JOBMANAGER), /"outcome":"released"/, `${host.name}: the session that was left`)
  }

  async #reboot(down: (host: BootedHost) => Promise<void>, check?: () => Promise<void>): Promise<string> {
    const { hosts } = this.options
    const before = await this.#well()
    const began = performance.now()
    await Promise.all(hosts.map(down))
    const downMs = performance.now() - began
    this.#job.gaps()
    const up = performance.now()
    const text = await this.#boot()
    const after = await this.#well(before.checkpoint)
    await check?.()
    const restored = (await this.#job.checkpoints())?.restored ?? 0
    assert.ok(restored >= before.checkpoint, `it resumed from checkpoint ${restored}, and ${before.checkpoint} had completed`)
    return `down after ${ms(downMs)}; ${text}; the job resumed from checkpoint ${restored} and completed ${after.checkpoint} ${ms(performance.now() - up)} after the start`
  }

  async #finish(): Promise<string> {
    const verdict = await this.#job.finish(performance.now() + WITHIN_MS)
    assert.deepEqual(verdict, [], 'the output of the job')
    return `${this.#job.lines} lines of output, each one once`
  }

  /** Everybody is there, and the job completes checkpoints that began after that one. */
  async #well(after?: number): Promise<Well> {
    const from = after ?? (await this.#job.checkpoints())?.completed ?? 0
    return this.#eventually(`the job completes checkpoints after ${from}`, async () => {
      const [details, tasks, leader, checkpoints] = [
        await this.#job.details(),
        await this.#job.tasks(),
        await this.#job.leader(),
        await this.#job.checkpoints(),
      ]
      if (details?.state !== 'RUNNING' || !tasks || !leader || !checkpoints || checkpoints.completed < from + 2) return undefined
      return { leader, tasks, restarts: details.restarts, checkpoint: checkpoints.completed }
    })
  }
  /** Same attempts in the same places. */
  async #untouched(before: Well): Promise<void> {
    const after = await this.#well(before.checkpoint)
    assert.deepEqual(after.tasks, before.tasks)
    assert.equal(after.restarts, before.restarts)
  }
  #hostsOf({ leader }: Well): { leading: BootedHost; other: BootedHost } {
    const { hosts } = this.options
    const leading = hosts.find(({ name }) => new URL(leader.address).hostname === name)
    assert.ok(leading, `no host has the address of the leader, ${leader.address}`)
    return { leading, other: hosts.find((host) => host !== leading)! }
  }
  /** As one host's REST says: ms until the last answer of the old leader, and until the first of the next. */
  async #nextLeader(from: BootedHost, before: Well, began: number): Promise<{ lostMs: number; servingMs: number }> {
    let lostMs = 0
    return this.#eventually('another JobManager leads', async () => {
      const leader = await this.#job.leader(from)
      const nowMs = performance.now() - began
      if (leader?.epoch === before.leader.epoch) lostMs = nowMs
      return leader && leader.epoch !== before.leader.epoch && { lostMs, servingMs: nowMs }
    })
  }
  #gapText(): { gaps: string } {
    const longest = Math.max(0, ...this.#job.gaps().map(({ ms: length }) => length))
    return { gaps: `longest gap in the output ${longest} ms` }
  }
  #noTaskRestarted(): string {
    return `no task restarted, ${this.#gapText().gaps}`
  }

  async #eventually<T>(what: string, condition: () => Promise<T | undefined | false>): Promise<T> {
    const until = performance.now() + WITHIN_MS
    for (;;) {
      const value = await condition()
      if (value !== undefined && value !== false) return value
      if (performance.now() > until) throw new Error(`not within ${WITHIN_MS} ms: ${what}`)
      await pause(POLL_MS)
    }
  }
}

const ms = (value: number) => (value < 10_000 ? `${Math.round(value)} ms` : `${(value / 1_000).toFixed(1)} s`)
