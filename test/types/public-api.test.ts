/** The compiler is the judge: programs that must compile, and lines that must not (`@ts-expect-error` without an error is one). */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import test from 'ava'

test('programs compile, mistakes do not', async (t) => {
  const run = promisify(execFile)('node_modules/.bin/tsc', ['-p', 'test/fixtures/types'])
  const output = await run.then(
    ({ stdout }) => stdout,
    (error: { stdout: string }) => error.stdout,
  )
  t.is(output, '')
})

test('no `any` in what is exported', async (t) => {
  const { readdir, readFile } = await import('node:fs/promises')
  for (const folder of ['api', 'connectors', 'submit', 'graph']) {
    const directory = `dist/client/${folder}`
    for (const name of (await readdir(directory)).filter((file) => file.endsWith('.d.ts'))) {
      const text = (await readFile(`${directory}/${name}`, 'utf8')).replace(/\/\*[\s\S]*?\*\//g, '')
      t.notRegex(text, /\bany\b/, name)
    }
  }
})
