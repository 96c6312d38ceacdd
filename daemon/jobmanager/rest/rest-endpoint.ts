/**
 * The REST API of a JobManager (Koa). Every JobManager answers every request: the leader from its dispatcher, a standby by forwarding.
 * Paths and fields are Flink's, with the prefix /v1 and without.
 */
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import Router from '@koa/router'
import Koa from 'koa'
import { ERRORS, FlottError, isFlottError } from '#core/errors.js'
import type { Service } from '#core/service.js'
import { formatLeader, LEADER_HEADER } from '#protocol/rest/leader-header.js'
import type { ErrorResponse } from '#protocol/rest/responses.js'
import { forwardToLeader } from './forward-to-leader.js'
import { addLocalRoutes, leaderRoutes, type Route } from './handlers.js'
import type { RestContext } from './rest-context.js'

export interface RestEndpointOptions {
  readonly host: string
  /** Tried in order; 0 takes any free one. */
  readonly ports: { readonly from: number; readonly to: number }
}

const URL_LENGTH_MAX = 8_192
/** Of a question that is passed on to one that leads no more. */
const PREDECESSOR_WAIT_MS = 250

export class RestEndpoint implements Service {
  readonly #rest: RestContext
  readonly #options: RestEndpointOptions
  #server: Server | undefined

  constructor(rest: RestContext, options: RestEndpointOptions) {
    this.#rest = rest
    this.#options = options
  }

  async start(): Promise<void> {
    const handle = this.#app().callback()
    const server = createServer({ maxHeaderSize: 16_384, requestTimeout: 300_000, headersTimeout: 30_000 }, (request, response) => {
      void handle(request, response)
    })
    const { host, ports } = this.#options
    for (let port = ports.from; ; port++) {
      try {
        await listen(server, host, port)
        break
      } catch (cause) {
        if ((cause as NodeJS.ErrnoException).code === 'EADDRINUSE' && port < ports.to) continue
        throw new FlottError('STARTUP_FAILED', `the REST endpoint can not listen on ${host}:${port} (rest.bind-address, rest.bind-port)`, {
          cause,
        })
      }
    }
    this.#server = server
  }

  /** The port that it listens on. */
  get port(): number {
    if (!this.#server) throw new Error('the REST endpoint was not started')
    return (this.#server.address() as AddressInfo).port
  }

  async stop(): Promise<void> {
    const server = this.#server
    this.#server = undefined
    if (!server) return
    await new Promise<void>((resolve) => {
      server.close(() => resolve())
      server.closeAllConnections()
    })
  }

  #app(): Koa {
    const app = new Koa()
    app.on('error', (error: Error) => this.#rest.logger.debug('a REST connection ended early', { error }))
    app.use(async (ctx, next) => {
      try {
        if (ctx.url.length > URL_LENGTH_MAX) throw new FlottError('BAD_REQUEST', `the URL has more than ${URL_LENGTH_MAX} characters`)
        await next()
        if (ctx.respond === false) return
        if (ctx.status === 405 || ctx.status === 501) throw new FlottError('METHOD_NOT_ALLOWED', `${ctx.method} ${ctx.path}`)
        if (ctx.status === 404 && ctx.body === undefined) throw new FlottError('NOT_FOUND', `no resource ${ctx.path}`)
      } catch (error) {
        this.#answerError(ctx, error)
      }
    })
    app.use(async (ctx, next) => {
      // The version prefix; an unknown version has no routes and ends as NOT_FOUND.
      if (ctx.path === '/v1' || ctx.path.startsWith('/v1/')) ctx.path = ctx.path.slice(3) || '/'
      await next()
    })
    const router = new Router({ strict: false })
    addLocalRoutes(router, this.#rest)
    for (const route of leaderRoutes(this.#rest)) router[route.method](route.path, (ctx) => this.#serve(ctx, route))
    app.use(router.routes())
    app.use(router.allowedMethods())
    return app
  }

  async #serve(ctx: Koa.Context & { params: Record<string, string> }, route: Route): Promise<void> {
    const leading = this.#rest.leading() ?? (ctx.method === 'GET' ? this.#rest.answering() : undefined)
    if (!leading) {
      ctx.respond = false
      try {
        await this.#forward(ctx)
      } catch (error) {
        if (ctx.res.headersSent) return
        ctx.respond = true
        throw error
      }
      return
    }
    ctx.set(LEADER_HEADER, formatLeader(leading.info))
    const body = await route.handle(ctx, leading)
    ctx.status = route.status ?? 200
    ctx.body = body
  }

  async #forward({ method, req, res }: Koa.Context): Promise<void> {
    const leader = this.#rest.leader()
    const predecessor = leader === undefined && method === 'GET' ? this.#rest.predecessor() : undefined
    if (predecessor === undefined) return forwardToLeader(req, res, leader)
    // It stays for a moment where it stopped by itself. Else it answers nothing, and nobody leads.
    await forwardToLeader(req, res, predecessor, PREDECESSOR_WAIT_MS).catch(() => forwardToLeader(req, res, undefined))
  }

  #answerError(ctx: Koa.Context, error: unknown): void {
    const known = isFlottError(error)
      ? error
      : new FlottError('INTERNAL', error instanceof Error ? error.message : String(error), { cause: error })
    if (known.code === 'INTERNAL') this.#rest.logger.error('a REST request failed', { method: ctx.method, path: ctx.path, error })
    const body: ErrorResponse = { errors: [known.message], code: known.code }
    ctx.status = ERRORS[known.code].http
    if (ctx.status === 503) ctx.set('Retry-After', '1')
    ctx.body = body
  }
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, () => {
      server.removeListener('error', reject)
      resolve()
    })
  })
}
