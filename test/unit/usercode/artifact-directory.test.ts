import { mkdtemp, readdir, readFile, readlink, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import { ARTIFACT_FILE, unpackArtifact } from '#usercode/artifact-directory.js'

async function* bytes(...parts: readonly (string | Error)[]): AsyncIterable<Uint8Array> {
  for (const part of parts) {
    if (part instanceof Error) throw part
    yield Buffer.from(part)
  }
}

test('an artifact appears whole, beside a link to this installation, and once', async (t) => {
  const root = await mkdtemp(join(tmpdir(), 'flott-artifact-'))
  t.teardown(() => rm(root, { recursive: true }))
  const directory = join(root, 'jobs', 'abc')
  const unpack = (read: AsyncIterable<Uint8Array>) => unpackArtifact({ directory, read, installation: root })
  await t.throwsAsync(unpack(bytes('half', new Error('the leader is gone'))), { message: /could not be unpacked/ })
  t.deepEqual(await readdir(join(root, 'jobs')), [])
  const both = await Promise.all([unpack(bytes('export ', '{}')), unpack(bytes('export {}'))])
  t.deepEqual(both, [directory, directory])
  t.is(await readFile(join(directory, ARTIFACT_FILE), 'utf8'), 'export {}')
  t.is(await readlink(join(directory, 'node_modules', 'flott')), root)
  t.is(await unpack(bytes(new Error('not read again'))), directory)
  t.deepEqual(await readdir(join(root, 'jobs')), ['abc'])
})
