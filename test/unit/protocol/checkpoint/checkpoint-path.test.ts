import test from 'ava'
import { checkpointPath, parseCheckpointPath } from '#protocol/checkpoint/checkpoint-path.js'

const jobId = '0123456789abcdef0123456789abcdef'

test('what is printed is read again; a job stands alone, the scheme may be left out', (t) => {
  t.is(checkpointPath(jobId, 12), `flott:/${jobId}/chk-12`)
  for (const text of [checkpointPath(jobId, 12), `flott:///${jobId}/chk-12`, `${jobId}/chk-12`, `${jobId}/chk-12/`])
    t.deepEqual(parseCheckpointPath(text, 'it'), { jobId, checkpointId: 12 }, text)
  for (const text of [jobId, `flott:/${jobId}`]) t.deepEqual(parseCheckpointPath(text, 'it'), { jobId, checkpointId: undefined }, text)
})

test('anything else is refused, and named', (t) => {
  for (const text of [
    '',
    'flott:/',
    'chk-1',
    `${jobId}/chk-`,
    `${jobId}/chk-1/x`,
    `${jobId.toUpperCase()}/chk-1`,
    `file:///${jobId}/chk-1`,
  ])
    t.throws(() => parseCheckpointPath(text, '--fromSavepoint (-s)'), {
      code: 'INVALID_ARGUMENT',
      message: `INVALID_ARGUMENT: --fromSavepoint (-s) is '${text}'; expects flott:/<job id>/chk-<n>, or the id of a job: 32 hex digits`,
    })
})
