import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import { silentLogger } from '#core/logger.js'
import { programDirectory } from '#jobmanager/unpacked-programs.js'

test('what earlier processes of the disk left is removed, whatever their ids were; that of other disks stays', async (t) => {
  const parent = await mkdtemp(join(tmpdir(), 'flott-programs-'))
  try {
    const others = ['flott-jobmanager-7-other', 'flott-jobmanager-7-a-disk', 'flott-taskmanager-x-7', 'disk', 'flott-jobmanager-x-disk']
    for (const name of ['flott-jobmanager-7-disk', 'flott-jobmanager-8-disk', ...others])
      await mkdir(join(parent, name, 'artifact'), { recursive: true })
    t.is(await programDirectory(parent, 'disk', 8, silentLogger), join(parent, 'flott-jobmanager-8-disk'))
    t.deepEqual((await readdir(parent)).toSorted(), others.toSorted())
  } finally {
    await rm(parent, { recursive: true })
  }
})

test('a directory for programs that is not there yet holds nothing to remove', async (t) => {
  t.is(await programDirectory('/nowhere', 'disk', 8, silentLogger), '/nowhere/flott-jobmanager-8-disk')
})
