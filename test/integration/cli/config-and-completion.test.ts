/** What the command line says without a cluster. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import { runCommand } from '../../support/command.js'

test('flott config: what is set, or the keys that are asked for, for people and as JSON', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'flott-config-'))
  t.teardown(() => rmSync(directory, { recursive: true, force: true }))
  writeFileSync(join(directory, 'config.yaml'), 'rest.port: 8082\n')
  const env = { FLOTT_CONF_DIR: directory, FLOTT_PARALLELISM_DEFAULT: '3' }
  const said = async (...args: string[]) => {
    const { code, stdout, stderr } = await runCommand('bin/flott', ['config', ...args], { env })
    t.is(code, 0, stderr)
    return stdout
  }
  t.is(await said('rest.port', 'parallelism.default'), '8082\n3\n')
  t.deepEqual(JSON.parse(await said('--json', 'rest.port', 'parallelism.default')), { 'rest.port': '8082', 'parallelism.default': '3' })
  t.is(await said('jobmanager.rpc.port', 'heartbeat.interval'), '6123\n1 s\n')
  t.regex(await said('-D', 'parallelism.default=7'), /^rest\.port: 8082$/m)
  t.is((JSON.parse(await said('--json', '-D', 'parallelism.default=7')) as Record<string, string>)['parallelism.default'], '7')
})

test('flott completion: a script for the shell, which asks for actions and options', async (t) => {
  const script = await runCommand('bin/flott', ['completion'])
  t.is(script.code, 0, script.stderr)
  t.regex(script.stdout, /complete .*flott/)
  const words = async (...args: string[]) =>
    (await runCommand('bin/flott', ['--get-yargs-completions', 'flott', ...args])).stdout.split('\n')
  const actions = await words('')
  for (const action of ['run', 'drain', 'reset-in-sync']) t.true(actions.includes(action), action)
  const options = await words('list', '--')
  for (const option of ['--running', '--json', '--jobmanager']) t.true(options.includes(option), option)
})

test('no action: all of them are named, and none is guessed', async (t) => {
  const { code, stderr } = await runCommand('bin/flott', [])
  t.is(code, 2)
  t.regex(stderr, /^INVALID_ARGUMENT: specify an action: run, [a-z, -]+\n/)
})
