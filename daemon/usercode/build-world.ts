/**
 * The world in which a program is evaluated: arguments, environment, working directory, time and chance are those recorded at the
 * client, so that it builds the same graph. What it prints on the way was printed at the client: it is not printed again. The engine's
 * own clock and randomness are not touched (core/clock.ts, core/random.ts).
 */
import { seededRandom } from '#core/random.js'
import type { ProgramSpec } from '#protocol/graph/job-graph.js'

/** Puts the world in place; returns what puts it back. */
export function enterBuildWorld(program: ProgramSpec): () => void {
  const { argv, env, cwd } = process
  const [RealDate, realRandom] = [globalThis.Date, Math.random]
  const random = seededRandom(program.randomSeed)
  const { PWD } = program.env
  process.argv = [...argv.slice(0, 2), ...program.args]
  process.env = { ...program.env }
  if (PWD !== undefined) process.cwd = () => PWD
  const write = process.stdout.write
  process.stdout.write = discard
  Math.random = () => random.next()
  globalThis.Date = stoppedDate(RealDate, program.clockMs)
  return () => {
    process.argv = argv
    process.env = env
    process.cwd = cwd
    process.stdout.write = write
    Math.random = realRandom
    globalThis.Date = RealDate
  }
}

function discard(_text: unknown, encoding?: unknown, done?: unknown): boolean {
  const written = typeof encoding === 'function' ? encoding : done
  if (typeof written === 'function') queueMicrotask(() => written())
  return true
}

/** A Date whose now stands still. Dates that are given their value are real ones. */
function stoppedDate(real: DateConstructor, clockMs: number): DateConstructor {
  return new Proxy(real, {
    construct: (target, args, newTarget) => Reflect.construct(target, args.length === 0 ? [clockMs] : args, newTarget),
    apply: (target) => new target(clockMs).toString(),
    get: (target, property, receiver) => (property === 'now' ? () => clockMs : Reflect.get(target, property, receiver)),
  })
}
