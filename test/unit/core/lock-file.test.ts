import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import { holdsLock } from '#core/lock-file.js'

const directory = mkdtempSync(join(tmpdir(), 'flott-lock-'))
test.after.always(() => rmSync(directory, { recursive: true }))

function flock(file: string, ...command: string[]): ChildProcess {
  return spawn('flock', ['--no-fork', file, ...command], { stdio: ['pipe', 'pipe', 'inherit'] })
}

test('a lock that a launcher took and that came through exec is held', (t) => {
  const file = join(directory, 'inherited')
  const script = `import { holdsLock } from ${JSON.stringify(import.meta.resolve('#core/lock-file.js'))}; console.log(holdsLock(${JSON.stringify(file)}))`
  const { stdout } = spawnSync('flock', ['--no-fork', file, process.execPath, '--input-type=module', '-e', script], { encoding: 'utf8' })
  t.is(stdout.trim(), 'true')
})

test('a lock of somebody else is not held, though the file is open here, too', async (t) => {
  const file = join(directory, 'foreign')
  const other = flock(file, 'cat')
  const echoed = new Promise((resolve) => other.stdout!.once('data', resolve))
  other.stdin!.write('locked\n')
  await echoed
  const fd = openSync(file, 'r')
  t.false(holdsLock(file))
  closeSync(fd)
  other.stdin!.end()
})

test('nothing is held of a file without a lock, or of none', (t) => {
  const file = join(directory, 'free')
  const fd = openSync(file, 'w')
  t.false(holdsLock(file))
  closeSync(fd)
  t.false(holdsLock(join(directory, 'missing')))
})
