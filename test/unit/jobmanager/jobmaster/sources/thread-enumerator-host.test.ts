import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import { systemClock } from '#core/clock.js'
import { isFlottError } from '#core/errors.js'
import { ThreadEnumeratorHost } from '#jobmanager/jobmaster/sources/thread-enumerator-host.js'
import { linearGraph } from '../../../../support/job-master-fixture.js'

const graph = linearGraph([{ name: 'source', kind: 'source', parallelism: 1 }])

/** Why the session of a job with this program failed. */
async function failureOf(program: string, blockedAfterMs = 60_000): Promise<Error> {
  const directory = await mkdtemp(join(tmpdir(), 'flott-enumerator-'))
  await writeFile(join(directory, 'artifact.mjs'), program)
  const host = new ThreadEnumeratorHost({ clock: systemClock, artifactDirectory: async () => directory, blockedAfterMs })
  try {
    return await new Promise<Error>((resolve, reject) => {
      const unexpected = () => reject(new Error('an answer'))
      const session = host.open(graph, { onMessage: unexpected, onFailure: resolve })
      session.post({ kind: 'start', request: 1, enumerators: [] })
    })
  } finally {
    await rm(directory, { recursive: true })
  }
}

test('a program that throws fails its job with the cause', async (t) => {
  const failure = await failureOf("throw new Error('no such table')")
  t.true(isFlottError(failure, 'PROGRAM_FAILED'))
  t.regex(failure.message, /no such table/)
})

test('a program that ends its thread fails its job, not the process', async (t) => {
  t.true(isFlottError(await failureOf('process.exit(3)'), 'USER_FUNCTION_FAILED'))
})

test('a program that loops for ever is stopped', async (t) => {
  t.true(isFlottError(await failureOf('for (;;) {}', 300), 'TASK_BLOCKED'))
})
