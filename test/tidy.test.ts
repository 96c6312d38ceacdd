/** What a reviewer would say every time: import direction, time and chance from core only, names, dead files, unfinished work. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import test from 'ava'

const ROOT = process.cwd()
const SOURCES = ['daemon', 'client', 'test'].flatMap((folder) =>
  (readdirSync(join(ROOT, folder), { recursive: true }) as string[])
    .filter((file) => file.endsWith('.ts') && !file.includes('fixtures'))
    .map((file) => `${folder}/${file}`),
)
/** A folder imports from its own, or from a lower number. */
const LAYERS: Readonly<Record<string, number>> = {
  'daemon/core': 0,
  'daemon/protocol': 1,
  'daemon/metrics': 1,
  'daemon/storage': 1.5, // It implements the blob store that protocol declares.
  'daemon/usercode': 2,
  'daemon/ha': 2,
  'daemon/rpc': 2,
  'daemon/jobmanager': 3,
  'daemon/taskmanager': 3,
  'daemon/minicluster': 4,
  'daemon/testing': 4,
}
const CLIENT_MAY_IMPORT = ['daemon/core', 'daemon/protocol', 'daemon/ha', 'client']

const text = new Map(SOURCES.map((file) => [file, readFileSync(join(ROOT, file), 'utf8')]))
const imports = new Map(SOURCES.map((file) => [file, importsOf(file, text.get(file) ?? '')]))

/** Source files that a file imports, as paths from the root. */
function importsOf(file: string, source: string): string[] {
  const found: string[] = []
  for (const [, specifier] of source.matchAll(/(?:from|import)\s*\(?\s*'([^']+)'/g)) {
    if (specifier === undefined) continue
    if (specifier.startsWith('.')) found.push(relative(ROOT, resolve(ROOT, dirname(file), specifier)).replace(/\.js$/, '.ts'))
    else if (specifier.startsWith('#client/')) found.push(`${specifier.slice(1)}`.replace(/\.js$/, '.ts'))
    else if (specifier.startsWith('#')) found.push(`daemon/${specifier.slice(1)}`.replace(/\.js$/, '.ts'))
  }
  return found
}
function layerOf(file: string): string {
  return file.split('/').slice(0, 2).join('/')
}

test('imports go to the own folder or to a lower layer', (t) => {
  const wrong: string[] = []
  for (const [file, targets] of imports) {
    if (file.startsWith('test/')) continue
    for (const target of targets) {
      if (file.startsWith('client/')) {
        if (!CLIENT_MAY_IMPORT.some((folder) => target.startsWith(`${folder}/`))) wrong.push(`${file} -> ${target}`)
        continue
      }
      const [from, to] = [layerOf(file), layerOf(target)]
      if (from !== to && !((LAYERS[to] ?? 99) < (LAYERS[from] ?? -1))) wrong.push(`${file} -> ${target}`)
    }
  }
  t.deepEqual(wrong, [])
})

test('connectors import core only, so that to the daemons they are user code', (t) => {
  const wrong = [...imports].flatMap(([file, targets]) =>
    file.startsWith('client/connectors/')
      ? targets.filter((target) => !/^(daemon\/core|client\/connectors)\//.test(target)).map((target) => `${file} -> ${target}`)
      : [],
  )
  t.deepEqual(wrong, [])
})

test('time, chance and the console come from core', (t) => {
  const forbidden = /\b(Date\.now|Math\.random|setTimeout|setInterval|setImmediate|performance\.now|console\.\w+)\s*\(/g
  const wrong = [...text].flatMap(([file, source]) => {
    if (file.startsWith('daemon/core/') || file.startsWith('test/') || file.startsWith('client/examples/')) return []
    return [...withoutComments(source).matchAll(forbidden)].map((match) => `${file}: ${match[1]}`)
  })
  t.deepEqual(wrong, [])
})

test('the ZooKeeper library is loaded in its own thread, and nowhere else', (t) => {
  const loading = [...text].filter(([, source]) => /(?:from|import)\s*\(?\s*'zookeeper'/.test(source)).map(([file]) => file)
  t.deepEqual(loading, ['daemon/ha/zookeeper/client-thread.ts'])
})

test('no file or folder has a name that says nothing', (t) => {
  const wrong = SOURCES.filter((file) => /(^|\/)(utils?|common|helpers?|misc)(\/|\.|$)/.test(file))
  t.deepEqual(wrong, [])
})

test('every source file is used', (t) => {
  const entries = [
    /^client\/(index|cli\/main)\.ts$/,
    /^client\/examples\//,
    /^daemon\/(jobmanager|taskmanager)\/main\.ts$/,
    /^daemon\/testing\/index\.ts$/,
    /^daemon\/minicluster\/index\.ts$/,
    /entry\.ts$/,
    /^test\//,
  ]
  const named = [...text.values()].join('\n')
  const used = new Set([...imports.values()].flat())
  const dead = SOURCES.filter((file) => {
    if (used.has(file) || entries.some((entry) => entry.test(file))) return false
    // Loaded by name: workers and dynamic imports.
    return !named.includes(`/${file.split('/').at(-1)!.replace(/\.ts$/, '.js')}'`)
  })
  t.deepEqual(dead, [])
})

test('only tests use what only tests may use', (t) => {
  const wrong = [...imports].flatMap(([file, targets]) =>
    file.startsWith('test/') ? [] : targets.filter((target) => target.startsWith('test/')).map((target) => `${file} -> ${target}`),
  )
  t.deepEqual(wrong, [])
})

test('nothing is left unfinished, switched off or untyped', (t) => {
  const marks = [/\b(TODO|FIXME|XXX)\b/, /\btest\.(only|skip|failing)\b/, /@ts-ignore|@ts-nocheck/, /[:<(]\s*any\b(?!\w)/]
  const wrong = [...text].flatMap(([file, source]) =>
    file === 'test/tidy.test.ts' ? [] : marks.filter((mark) => mark.test(withoutComments(source))).map((mark) => `${file}: ${mark}`),
  )
  t.deepEqual(wrong, [])
})

test('paths named in the README exist', (t) => {
  const readme = existsSync('README.md') ? readFileSync('README.md', 'utf8') : ''
  const named = [...readme.matchAll(/`((?:daemon|client|conf|bin|test|systemd)\/[\w./-]+)`/g)].map((match) => match[1]!)
  t.deepEqual(
    named.filter((path) => !existsSync(path)),
    [],
  )
})

function withoutComments(source: string): string {
  return source.replace(/\/\*[\s\S]*?\*\//g, '').replace(/(^|\s)\/\/.*$/gm, '')
}
