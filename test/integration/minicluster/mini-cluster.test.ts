/** The cluster within a process: as a service, and as what programs and signals meet. */
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { startMiniCluster } from '#minicluster/index.js'
import type { ClusterOverviewResponse } from '#protocol/rest/responses.js'
import { runCommand } from '../../support/command.js'
import { runProgramToEnd, startCommand, startProgram } from '../../support/run-program.js'

function ownTemporaryDirectory(t: ExecutionContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'flott-programs-'))
  t.teardown(() => rmSync(directory, { recursive: true, force: true }))
  return directory
}

test.serial('has the slots that it was asked for, and is gone after stop, however often that is called', async (t) => {
  const listeners = process.listenerCount('SIGINT')
  const cluster = await startMiniCluster({ slots: 3, settings: {} })
  const overview = (await (await fetch(`${cluster.restUrl}/v1/overview`)).json()) as ClusterOverviewResponse
  t.is(overview['slots-total'], 3)
  await Promise.all([cluster.stop(), cluster.stop()])
  await cluster.stop()
  await t.throwsAsync(fetch(`${cluster.restUrl}/v1/overview`))
  t.is(process.listenerCount('SIGINT'), listeners)
})

test.serial('a wrong setting is an error that leaves nothing behind', async (t) => {
  const listeners = process.listenerCount('exit')
  await t.throwsAsync(startMiniCluster({ slots: 1, settings: { 'taskmanager.memory.managed.size': 'much' } }), { code: 'INVALID_CONFIG' })
  t.is(process.listenerCount('exit'), listeners)
})

test.serial('a job recovers in it as on a cluster', async (t) => {
  const mark = join(ownTemporaryDirectory(t), 'mark')
  const { code, stdout, stderr } = await runProgramToEnd('recovering', [mark])
  t.is(code, 0, stderr)
  t.deepEqual((JSON.parse(stdout) as { key: number; n: number }[]).map(({ key, n }) => `${key}: ${n}`).sort(), [
    '0: 200',
    '1: 200',
    '2: 200',
  ])
})

test.serial('a program that exits under its job leaves nothing behind', async (t) => {
  const TMPDIR = ownTemporaryDirectory(t)
  const { code } = await runProgramToEnd('leaving', ['exit'], { env: { TMPDIR } })
  t.is(code, 7)
  t.deepEqual(readdirSync(TMPDIR), [])
})

test.serial('a program that handles SIGINT itself decides what becomes of its job', async (t) => {
  const TMPDIR = ownTemporaryDirectory(t)
  const program = startProgram('leaving', ['signal'], { env: { TMPDIR } })
  await program.printed('n> 20\n')
  program.process.kill('SIGINT')
  const { code, stdout, stderr } = await program.result
  t.deepEqual({ code, stderr }, { code: 0, stderr: '' })
  t.true(stdout.endsWith('JOB_CANCELED undefined\n'), stdout)
  t.deepEqual(readdirSync(TMPDIR), [])
})

test.serial('a script submits the job of another module', async (t) => {
  const [beats, silences] = [ownTemporaryDirectory(t), ownTemporaryDirectory(t)]
  const beat = (device: string, at: number) => `${JSON.stringify({ device, at })}\n`
  writeFileSync(join(beats, 'beats.json'), beat('a', 1_000) + beat('b', 2_000) + beat('a', 5_000) + beat('c', 500_000))
  const { code, stdout, stderr } = await runProgramToEnd('silences', [beats, silences])
  t.deepEqual([code, stdout.trimEnd().split('\n').at(-1)], [0, 'CANCELED'], stderr)
  const reported = await Promise.all(
    readdirSync(silences)
      .filter((name) => !name.startsWith('.'))
      .map((name) => readFile(join(silences, name), 'utf8')),
  )
  const found = reported.flatMap((text) =>
    text
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as { device: string; since: number }),
  )
  t.deepEqual(
    found.sort((a, b) => a.since - b.since),
    [
      { device: 'b', since: 2_000 },
      { device: 'a', since: 5_000 },
    ],
  )
})

test.serial('the word count of the examples, from files to files', async (t) => {
  const [input, output] = [ownTemporaryDirectory(t), ownTemporaryDirectory(t)]
  const texts = ['to be or not to be\n', 'that is the question: to be\n']
  texts.forEach((text, i) => {
    writeFileSync(join(input, `${i}.txt`), text)
  })
  const example = ['dist/client/examples/word-count.js', '--input', join(input, '*.txt'), '--output', output, '--parallelism', '2']
  const { code, stderr } = await startCommand(process.execPath, example).result
  t.deepEqual({ code, stderr }, { code: 0, stderr: '' })
  const words = texts.join(' ').match(/\w+/g) ?? []
  const expected = [...new Set(words)].map((word) => `${words.filter((w) => w === word).length} ${word}`)
  const counted = await Promise.all(readdirSync(output).map((name) => readFile(join(output, name), 'utf8')))
  t.deepEqual(counted.flatMap((text) => text.trimEnd().split('\n')).sort(), expected.sort())
})

test.serial('a local environment stays in its process, under flott run, too, where the cluster does not answer', async (t) => {
  const TMPDIR = ownTemporaryDirectory(t)
  const { code, stdout, stderr } = await runCommand('bin/flott', ['run', '-m', '127.0.0.1:1', 'test/integration/cli/programs/local.ts'], {
    env: { TMPDIR },
  })
  t.is(code, 0, stderr)
  t.is(stdout, '1 4 9 16 25\n')
  t.deepEqual(readdirSync(TMPDIR), [])
})
