/** One handler a resource: reads from the dispatcher, answers with a view. Runs on the leader only; a standby forwards. */

import type Router from '@koa/router'
import type { Context } from 'koa'
import { FlottError } from '#core/errors.js'
import { isId } from '#core/ids.js'
import type { DispatcherGateway, JobDetails } from '#protocol/gateways/dispatcher-gateway.js'
import type { SubmitJobResponse } from '#protocol/rest/job-submission.js'
import type {
  CollectedResponse,
  DashboardConfigResponse,
  JobIdsResponse,
  JobsOverviewResponse,
  TaskManagersResponse,
} from '#protocol/rest/responses.js'
import type { TriggerResponse } from '#protocol/rest/retained-checkpoints.js'
import { toTaggedJson } from '#protocol/rest/tagged-json.js'
import { checkpointItem, checkpointsView } from './checkpoint-views.js'
import { clusterOverviewView, drainView, taskManagerDetailsView, taskManagerItem } from './cluster-views.js'
import {
  accumulatorsView,
  exceptionsView,
  executionResultView,
  jobConfigView,
  jobDetailsView,
  jobOverviewItem,
  planView,
  vertexDetailsView,
} from './job-views.js'
import { prometheusText } from './prometheus.js'
import { readJobUpload } from './request-body.js'
import type { RestContext } from './rest-context.js'
import { disposalView, disposedPath, retainedView } from './retained-views.js'

/** What a handler runs with: the leader's parts, taken once, so that a change of leadership in the middle can't mix two reigns. */
type Leading = NonNullable<ReturnType<RestContext['leading']>>
type Handler = (ctx: Context & { params: Record<string, string> }, leading: Leading) => Promise<unknown>

export interface Route {
  readonly method: 'get' | 'post' | 'patch'
  readonly path: string
  readonly handle: Handler
  readonly status?: number
}

export function leaderRoutes(rest: RestContext): readonly Route[] {
  const now = () => rest.clock.now()
  const get = (path: string, handle: Handler): Route => ({ method: 'get', path, handle })
  return [
    get('/overview', async (_, { dispatcher, info }) => clusterOverviewView(await dispatcher.clusterOverview({}), info, rest.version)),
    get('/config', async () => dashboardConfig(rest)),
    get('/jobs', async (_, { dispatcher }): Promise<JobIdsResponse> => {
      const jobs = await dispatcher.listJobs({})
      return { jobs: jobs.map(({ jobId, status }) => ({ id: jobId, status })) }
    }),
    get('/jobs/overview', async (_, { dispatcher }): Promise<JobsOverviewResponse> => {
      const jobs = await dispatcher.listJobs({})
      return { jobs: jobs.map((job) => jobOverviewItem(job, now())) }
    }),
    { method: 'post', path: '/jobs', status: 202, handle: (ctx, leading) => submitJob(ctx, leading, rest) },
    get('/jobs/:jobid', async (ctx, { dispatcher }) => jobDetailsView(await describe(ctx.params, dispatcher), now())),
    { method: 'patch', path: '/jobs/:jobid', status: 202, handle: cancelJob },
    get('/jobs/:jobid/plan', async (ctx, { dispatcher }) => ({ plan: planView((await describe(ctx.params, dispatcher)).jobGraph) })),
    get('/jobs/:jobid/status', async (ctx, { dispatcher }) => ({ status: (await describe(ctx.params, dispatcher)).status })),
    get('/jobs/:jobid/config', async (ctx, { dispatcher }) => jobConfigView(await describe(ctx.params, dispatcher))),
    get('/jobs/:jobid/exceptions', async (ctx, { dispatcher }) => {
      const most = wholeNumber(ctx.query['maxExceptions'], 'maxExceptions', 16)
      return exceptionsView(await describe(ctx.params, dispatcher), most)
    }),
    get('/jobs/:jobid/accumulators', async (ctx, { dispatcher }) => accumulatorsView(await describe(ctx.params, dispatcher))),
    get('/jobs/:jobid/execution-result', async (ctx, { dispatcher }) => executionResultView(await describe(ctx.params, dispatcher))),
    get('/jobs/:jobid/checkpoints', async (ctx, { dispatcher }) => checkpointsView(await describe(ctx.params, dispatcher))),
    get('/jobs/:jobid/checkpoints/details/:checkpointid', async (ctx, { dispatcher }) => {
      const id = wholeNumber(ctx.params['checkpointid'], 'checkpointid')
      const job = await describe(ctx.params, dispatcher)
      const entry = job.checkpoints.history.find((candidate) => candidate.id === id)
      if (!entry) throw new FlottError('NOT_FOUND', `checkpoint ${id} is not in the history`)
      return checkpointItem(entry, job)
    }),
    get('/jobs/:jobid/vertices/:vertexid', async (ctx, { dispatcher }) => {
      const job = await describe(ctx.params, dispatcher)
      const vertex = job.jobGraph.vertices.find(({ id }) => id === ctx.params['vertexid'])
      if (!vertex) throw new FlottError('NOT_FOUND', `job ${job.jobId} has no vertex ${ctx.params['vertexid']}`)
      return vertexDetailsView(job, vertex, now())
    }),
    get('/jobs/:jobid/collected/:operatorid', collected),
    get(
      '/taskmanagers',
      async (_, { dispatcher }): Promise<TaskManagersResponse> => ({
        taskmanagers: (await dispatcher.listTaskManagers({})).map(taskManagerItem),
      }),
    ),
    get('/taskmanagers/:taskmanagerid', async (ctx, { dispatcher }) => {
      const id = ctx.params['taskmanagerid']
      const found = (await dispatcher.listTaskManagers({})).find(({ taskManagerId }) => taskManagerId === id)
      if (!found) throw new FlottError('NOT_FOUND', `no TaskManager ${id} is registered`)
      return taskManagerDetailsView(found)
    }),
    get('/flott/taskmanagers/:taskmanagerid/drain', async (ctx, { dispatcher }) => {
      const processId = ctx.query['process-id']
      if (Array.isArray(processId)) throw new FlottError('BAD_REQUEST', 'process-id is there more than once')
      const which = processId === undefined ? {} : { processId }
      return drainView(await dispatcher.drainStatus({ taskManagerId: ctx.params['taskmanagerid']!, ...which }))
    }),
    {
      method: 'post',
      path: '/flott/taskmanagers/:taskmanagerid/drain',
      status: 202,
      handle: async (ctx, { dispatcher }) => drainView(await dispatcher.drainTaskManager({ taskManagerId: ctx.params['taskmanagerid']! })),
    },
    {
      method: 'post',
      path: '/savepoint-disposal',
      status: 202,
      handle: async (ctx, { dispatcher }): Promise<TriggerResponse> => {
        const { requestId } = await dispatcher.triggerDisposal({ path: await disposedPath(ctx.req) })
        return { 'request-id': requestId }
      },
    },
    get('/savepoint-disposal/:triggerid', async (ctx, { dispatcher }) =>
      disposalView(await dispatcher.disposalStatus({ requestId: ctx.params['triggerid']! })),
    ),
    get('/flott/checkpoints', async (_, { dispatcher }) => retainedView(await dispatcher.listRetainedCheckpoints({}))),
    get('/jobmanager/config', async () => rest.configuration),
    get('/flott/fsck', (_, { storage }) => storage.check({ repair: false })),
    { method: 'post', path: '/flott/fsck', handle: (_, { storage }) => storage.check({ repair: true }) },
    get('/flott/gc', (_, { storage }) => storage.collect({ dryRun: true })),
    { method: 'post', path: '/flott/gc', handle: (_, { storage }) => storage.collect({ dryRun: false }) },
  ]
}

/** Answered by every JobManager itself. */
export function addLocalRoutes(router: Router, rest: RestContext): void {
  router.get('/livez', (ctx) => {
    ctx.body = { status: 'alive' }
  })
  router.get('/readyz', (ctx) => {
    const leader = rest.leader()
    ctx.status = leader === undefined ? 503 : 200
    ctx.body = {
      status: leader !== undefined ? 'ready' : ['no leader is known', rest.hindrance()].filter((part) => part !== undefined).join(': '),
      leading: rest.leading() !== undefined,
      leader: leader?.restUrl ?? null,
    }
  })
  router.get('/flott/disk', async (ctx) => {
    ctx.body = await rest.disk()
  })
  router.get('/metrics', async (ctx) => {
    const leading = rest.leading()
    ctx.type = 'text/plain; version=0.0.4; charset=utf-8'
    const leads = `# HELP flott_jobmanager_leading 1 on the JobManager that leads.\n# TYPE flott_jobmanager_leading gauge\nflott_jobmanager_leading ${leading ? 1 : 0}\n`
    ctx.body = leads + rest.processMetrics() + (leading ? await prometheusText(leading.dispatcher) : '')
  })
}

async function submitJob(ctx: Context, leading: Leading, rest: RestContext): Promise<SubmitJobResponse> {
  const jobGraph = await readJobUpload(ctx.req, rest.maxContentLength, async ({ request, artifact }) => {
    const name = `artifact/${request.artifactSha256}`
    await leading.blobs.put(name, artifact)
    return { ...request.jobGraph, artifact: name }
  })
  await leading.dispatcher.submitJob({ jobGraph })
  return { jobUrl: `/jobs/${jobGraph.jobId}` }
}

async function cancelJob(ctx: Context & { params: Record<string, string> }, { dispatcher }: Leading): Promise<object> {
  const mode = ctx.query['mode'] ?? 'cancel'
  if (mode !== 'cancel') throw new FlottError('BAD_REQUEST', `mode '${String(mode)}' is unknown; expects cancel`)
  await dispatcher.cancelJob({ jobId: jobIdOf(ctx.params) })
  return {}
}

async function collected(ctx: Context & { params: Record<string, string> }, { dispatcher }: Leading): Promise<CollectedResponse> {
  const operatorId = ctx.params['operatorid'] ?? ''
  if (!isId(operatorId)) throw new FlottError('BAD_REQUEST', `'${operatorId}' is not an operator id: 32 hex digits`)
  const after = wholeNumber(ctx.query['after'], 'after', 0)
  const { records, next, ended } = await dispatcher.fetchCollected({ jobId: jobIdOf(ctx.params), operatorId, after })
  return { records: toTaggedJson(records), next, ended }
}

function describe(params: Record<string, string>, dispatcher: DispatcherGateway): Promise<JobDetails> {
  return dispatcher.describeJob({ jobId: jobIdOf(params) })
}

function jobIdOf(params: Record<string, string>): string {
  const jobId = params['jobid'] ?? ''
  if (!isId(jobId)) throw new FlottError('BAD_REQUEST', `'${jobId}' is not a job id: 32 hex digits`)
  return jobId
}

function wholeNumber(text: string | readonly string[] | undefined, name: string, otherwise?: number): number {
  if (text === undefined && otherwise !== undefined) return otherwise
  if (typeof text !== 'string' || !/^\d{1,15}$/.test(text))
    throw new FlottError('BAD_REQUEST', `${name} must be a whole number, not '${String(text)}'`)
  return Number(text)
}

function dashboardConfig(rest: RestContext): DashboardConfigResponse {
  const offset = -new Date(rest.clock.now()).getTimezoneOffset() * 60_000
  return {
    'refresh-interval': 3_000,
    'timezone-name': Intl.DateTimeFormat().resolvedOptions().timeZone,
    'timezone-offset': offset,
    'flink-version': rest.version,
    'flink-revision': 'flott',
    features: { 'web-submit': false, 'web-cancel': true, 'web-rescale': false, 'web-history': false },
  }
}
