import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'

const hasSystemd = spawnSync('systemd-analyze', ['--version']).status === 0

test('the units pass systemd-analyze verify', (t) => {
  if (!hasSystemd) return t.pass('systemd is not installed here')
  const dir = mkdtempSync(join(tmpdir(), 'flott-units-'))
  // The commands are looked for: at the paths of this checkout instead of /opt/flott.
  for (const unit of readdirSync('systemd').filter((name) => name.endsWith('.service')))
    writeFileSync(join(dir, unit.replace('@.', '@1.')), readFileSync(join('systemd', unit), 'utf8').replaceAll('/opt/flott', process.cwd()))
  const units = readdirSync(dir).map((name) => join(dir, name))
  const { status, stderr } = spawnSync('systemd-analyze', ['verify', '--man=no', '--recursive-errors=no', ...units], { encoding: 'utf8' })
  const own = stderr.split('\n').filter((line) => line.includes('flott'))
  t.deepEqual(own, [], stderr)
  t.is(status, 0, stderr)
})

test('every shell script parses', (t) => {
  for (const script of readdirSync('bin')) t.notThrows(() => execFileSync('bash', ['-n', join('bin', script)]), script)
})
