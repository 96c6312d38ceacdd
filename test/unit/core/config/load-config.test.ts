import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import { loadConfig } from '#core/config/load-config.js'
import { OPTIONS } from '#core/config/options.js'
import { printConfigYaml } from '#core/config/print-options.js'
import { configOf, KNOWN_KEYS } from '#core/config/resolve-config.js'

function confDir(yaml: string): string {
  const dir = mkdtempSync(join(tmpdir(), 'flott-conf-'))
  writeFileSync(join(dir, 'config.yaml'), yaml)
  return dir
}
const SHIPPED = { 'taskmanager.numberOfTaskSlots': '2' } as const

test('every default parses and the defaults are possible together', (t) => {
  const { config, explicit } = loadConfig({})
  t.deepEqual(explicit, {})
  t.is(config['heartbeat.timeout'], 5_000)
  t.is(config['taskmanager.memory.managed.size'], 2 ** 30)
  t.is(Object.keys(config).length, KNOWN_KEYS.length)
})

test('file, environment and -D go over each other in this order', (t) => {
  const dir = confDir('rest:\n  port: 9001\nheartbeat.interval: 500 ms\nparallelism.default: 2\n')
  const { config, explicit } = loadConfig({
    confDir: dir,
    env: { FLOTT_REST_PORT: '9002', FLOTT_JOB_REGION: 'of a program', PATH: '/bin' },
    dynamic: ['parallelism.default=7'],
  })
  t.is(config['rest.port'], 9002)
  t.is(config['heartbeat.interval'], 500)
  t.is(config['parallelism.default'], 7)
  t.deepEqual(explicit, { 'rest.port': '9002', 'heartbeat.interval': '500 ms', 'parallelism.default': '7' })
})

test('a mistake is named with file, line, key and the nearest known key; all mistakes at once', (t) => {
  const dir = confDir('# comment\nrest.prot: 1\nheartbeat:\n  interval: 5 lightyears\n')
  const error = t.throws(() => loadConfig({ confDir: dir, env: { FLOTT_REST_PROT: '1' }, dynamic: ['paralelism.default=3', 'novalue'] }), {
    code: 'INVALID_CONFIG',
  })
  const text = error?.message ?? ''
  t.true(text.includes(`${dir}/config.yaml:2: unknown key 'rest.prot'; did you mean rest.port?`), text)
  t.true(text.includes(`${dir}/config.yaml:4: heartbeat.interval expects a duration`), text)
  t.true(text.includes('unknown variable FLOTT_REST_PROT; did you mean FLOTT_REST_PORT?'), text)
  t.true(text.includes("-D: unknown key 'paralelism.default'; did you mean parallelism.default?"), text)
  t.true(text.includes('-D novalue: expects -D key=value'), text)
})

test('combinations that can not work are refused', (t) => {
  for (const [settings, key] of [
    [{ 'heartbeat.timeout': '1 s', 'heartbeat.interval': '1 s' }, 'heartbeat.timeout'],
    [{ 'high-availability.type': 'zookeeper' }, 'high-availability.zookeeper.quorum'],
    [{ 'taskmanager.numberOfTaskSlots': '64' }, 'taskmanager.memory.managed.size'],
    [{ 'parallelism.default': '9', 'pipeline.max-parallelism': '8' }, 'parallelism.default'],
    [{ 'rest.bind-port': '99999' }, 'rest.bind-port'],
  ] as const) {
    const error = t.throws(() => configOf(settings), { code: 'INVALID_CONFIG' })
    t.regex(error?.message ?? '', new RegExp(`(setting|default): ${key.replaceAll('.', '\\.')} `))
  }
})

test('broken YAML, a list and a duplicate key are errors with a line', (t) => {
  for (const yaml of ['a: [', 'rest.port:\n  - 1\n', 'rest.port: 1\nrest.port: 2\n'])
    t.regex(t.throws(() => loadConfig({ confDir: confDir(yaml) }), { code: 'INVALID_CONFIG' })?.message ?? '', /config\.yaml:\d+: /, yaml)
})

test('conf/config.yaml is complete and loads', (t) => {
  t.is(readFileSync('conf/config.yaml', 'utf8'), printConfigYaml(SHIPPED))
  t.is(loadConfig({ confDir: 'conf' }).config['taskmanager.numberOfTaskSlots'], 2)
  const everything = printConfigYaml(Object.fromEntries(Object.entries(OPTIONS).map(([key, option]) => [key, option.default])))
  t.is(Object.keys(loadConfig({ confDir: confDir(everything) }).explicit).length, KNOWN_KEYS.length)
})
