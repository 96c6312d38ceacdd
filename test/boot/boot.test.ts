/** The shorter run of hosts under systemd, where this machine can boot any: main.js says how the whole one is run. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import { UNAVAILABLE } from './preflight.js'

test('three hosts boot, lose their leader in several ways and their power, and no record is lost or doubled', async (t) => {
  t.timeout(600_000)
  const directory = mkdtempSync(join(tmpdir(), 'flott-boot-test-'))
  t.teardown(() => rmSync(directory, { recursive: true, force: true }))
  const child = spawn(process.execPath, ['dist/test/boot/main.js', '--short'], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, TMPDIR: directory },
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => (output += String(data)))
  const [code] = (await once(child, 'close')) as [number | null]
  t.log(output)
  if (code === UNAVAILABLE) return t.pass('this machine can not boot hosts')
  t.is(code, 0, output + journals(directory))
  t.deepEqual(readdirSync(directory), [], 'nothing is left')
})

/** The end of each, of a run that went wrong. */
function journals(directory: string): string {
  return readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.journal'))
    .map((name) => `\n=== ${name}\n${readFileSync(join(directory, name), 'utf8').slice(-20_000)}`)
    .join('')
}
