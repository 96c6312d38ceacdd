import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import test from 'ava'
import { bundle } from '#client/submit/bundle.js'
import { ArtifactLines, isArtifactUrl } from '#usercode/artifact-lines.js'

async function directory(): Promise<string> {
  return mkdtemp(join(tmpdir(), 'flott-lines-'))
}

test('a position in the artifact is that in its source', async (t) => {
  const [sources, unpacked] = [await directory(), await directory()]
  t.teardown(() => Promise.all([sources, unpacked].map((d) => rm(d, { recursive: true }))))
  await writeFile(join(sources, 'job.ts'), "import { spin } from './spin.js'\nspin(1)\n")
  await writeFile(
    join(sources, 'spin.ts'),
    'export interface Unused {\n  n: number\n}\nexport function spin(n: number): void {\n  while (n > 0) n++\n}\n',
  )
  const { code } = await bundle(join(sources, 'job.ts'))
  const artifact = join(unpacked, 'artifact.mjs')
  await writeFile(artifact, code)
  const text = Buffer.from(code).toString('utf8').split('\n')
  const line = text.findIndex((l) => l.includes('while (n > 0)'))
  const column = text[line]!.indexOf('n++')
  const lines = new ArtifactLines(`${pathToFileURL(artifact)}?load=3`)
  t.deepEqual(await lines.sourceOf(line + 1, column + 1), { file: join(sources, 'spin.ts'), line: 5, column: 17 })
})

test('without a map, or without the file, it stays what it is', async (t) => {
  const unpacked = await directory()
  t.teardown(() => rm(unpacked, { recursive: true }))
  const artifact = join(unpacked, 'artifact.mjs')
  const { href } = pathToFileURL(artifact)
  t.deepEqual(await new ArtifactLines(href).sourceOf(2, 3), { file: artifact, line: 2, column: 3 })
  for (const text of ['for (;;) {}\n', 'x\n//# sourceMappingURL=data:application/json;base64,e30\n']) {
    await writeFile(artifact, text)
    t.deepEqual(await new ArtifactLines(href).sourceOf(2, 3), { file: artifact, line: 2, column: 3 })
  }
})

test('an artifact is known by its name', (t) => {
  t.true(isArtifactUrl('file:///tmp/job/artifact.mjs?load=1'))
  for (const url of ['', 'node:internal/timers', 'file:///tmp/entry.js', 'file:///tmp/artifact.mjs/x.js']) t.false(isArtifactUrl(url))
})
