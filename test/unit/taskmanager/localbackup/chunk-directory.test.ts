import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import { ChunkDirectory } from '#taskmanager/localbackup/chunk-directory.js'

test('files come and go with their process; what the dead have left is removed', async (t) => {
  const parent = mkdtempSync(join(tmpdir(), 'flott-chunks-'))
  t.teardown(() => rmSync(parent, { recursive: true, force: true }))
  const dead = join(parent, 'flott-localState-4194999-tm') // Above the kernel's highest process id.
  for (const directory of [dead, join(parent, `flott-localState-${process.pid}-other`), join(parent, 'flott-localState-odd')]) {
    mkdirSync(directory)
    writeFileSync(join(directory, '1'), 'x')
  }
  const files = new ChunkDirectory(parent, { pid: process.pid, taskManagerId: 'a/b' })
  t.false(existsSync(dead))
  await files.write('1', new Uint8Array([1, 2]))
  await files.write('2', new Uint8Array([3]))
  t.deepEqual([...(await files.read('1'))], [1, 2])
  await files.remove('1')
  await t.throwsAsync(files.read('1'))
  t.is(readdirSync(parent).length, 3)
  await files.close()
  t.deepEqual(readdirSync(parent).sort(), [`flott-localState-${process.pid}-other`, 'flott-localState-odd'])
})

test('a parent that is not there yet is made', async (t) => {
  const parent = mkdtempSync(join(tmpdir(), 'flott-chunks-'))
  t.teardown(() => rmSync(parent, { recursive: true, force: true }))
  const files = new ChunkDirectory(join(parent, 'a', 'b'), { pid: process.pid, taskManagerId: 'tm' })
  await files.write('1', new Uint8Array([1]))
  t.deepEqual([...(await files.read('1'))], [1])
  await files.close()
})
