/**
 * A deployment record as bytes: the blob, and what each TaskManager of the job receives, so that a leader encodes it once whatever the
 * number of receivers. JSON, deflated, in which each TaskManager, slot and vertex stands once and attempts are columns of numbers: two or
 * three bytes an attempt, where the objects take hundreds.
 */
import { deflateRawSync, inflateRawSync } from 'node:zlib'
import type { AttemptLocation, DeploymentRecord } from './deployment.js'

interface Tables extends Omit<DeploymentRecord, 'attempts'> {
  readonly taskManagers: readonly (readonly [taskManagerId: string, dataHost: string, dataPort: number, processId: string | null])[]
  readonly slots: readonly (readonly [allocationId: string, slotIndex: number, taskManager: number])[]
  readonly vertices: readonly VertexColumns[]
}
interface VertexColumns {
  readonly vertexId: string
  /** Of the attempts' ids; subtask index and attempt number follow. */
  readonly prefix: string
  readonly subtasks: number[]
  readonly attemptNumbers: number[]
  readonly slots: number[]
  /** Subtasks that had FINISHED. */
  readonly finished: number[]
}

/** Attempts come back by vertex, vertices in the order of their first. */
export function encodeDeployment({ attempts, ...record }: DeploymentRecord): Uint8Array {
  const taskManagers = new Table<Tables['taskManagers'][number]>()
  const slots = new Table<Tables['slots'][number]>()
  const vertices = new Map<string, VertexColumns>()
  for (const location of attempts) {
    const { vertexId, subtaskIndex, attemptNumber, attemptId, taskManagerId, slotIndex, allocationId, dataHost, dataPort } = location
    const suffix = suffixOf(subtaskIndex, attemptNumber)
    let columns = vertices.get(vertexId)
    if (!columns) {
      columns = { vertexId, prefix: attemptId.slice(0, -suffix.length), subtasks: [], attemptNumbers: [], slots: [], finished: [] }
      vertices.set(vertexId, columns)
    }
    if (attemptId !== columns.prefix + suffix) throw new Error(`${attemptId} is not made of its subtask and attempt number`)
    const taskManager = taskManagers.indexOf(`${taskManagerId} ${location.processId}`, () => [
      taskManagerId,
      dataHost,
      dataPort,
      location.processId ?? null,
    ])
    columns.subtasks.push(subtaskIndex)
    columns.attemptNumbers.push(attemptNumber)
    columns.slots.push(slots.indexOf(`${taskManager} ${slotIndex} ${allocationId}`, () => [allocationId, slotIndex, taskManager]))
    if (location.finished) columns.finished.push(subtaskIndex)
  }
  const tables: Tables = { ...record, taskManagers: taskManagers.rows, slots: slots.rows, vertices: [...vertices.values()] }
  return deflateRawSync(JSON.stringify(tables), { level: 1 })
}

export function decodeDeployment(bytes: Uint8Array): DeploymentRecord {
  const { taskManagers, slots, vertices, ...record } = JSON.parse(inflateRawSync(bytes).toString()) as Tables
  const attempts = vertices.flatMap(({ vertexId, prefix, subtasks, attemptNumbers, slots: slotNumbers, finished }) => {
    const ended = new Set(finished)
    return subtasks.map((subtaskIndex, i): AttemptLocation => {
      const attemptNumber = attemptNumbers[i]!
      const [allocationId, slotIndex, taskManager] = slots[slotNumbers[i]!]!
      const [taskManagerId, dataHost, dataPort, processId] = taskManagers[taskManager]!
      return {
        vertexId,
        subtaskIndex,
        attemptNumber,
        attemptId: prefix + suffixOf(subtaskIndex, attemptNumber),
        taskManagerId,
        slotIndex,
        allocationId,
        dataHost,
        dataPort,
        ...(processId === null ? {} : { processId }),
        ...(ended.has(subtaskIndex) ? { finished: true } : {}),
      }
    })
  })
  return { ...record, attempts }
}

function suffixOf(subtaskIndex: number, attemptNumber: number): string {
  return `_${subtaskIndex}_${attemptNumber}`
}

/** Rows in the order of their first use, each once. */
class Table<Row> {
  readonly rows: Row[] = []
  readonly #numbers = new Map<string, number>()
  indexOf(key: string, row: () => Row): number {
    const known = this.#numbers.get(key)
    if (known !== undefined) return known
    this.#numbers.set(key, this.rows.length)
    return this.rows.push(row()) - 1
  }
}
