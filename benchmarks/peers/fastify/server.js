// A gateway of the same shape as a Node team would write it: Fastify, undici's pool, fast-xml-parser, compiled
// serialisers, and an LRU of ready bytes. UPSTREAM_URL, PORT.
import { createHash } from 'node:crypto'
import Fastify from 'fastify'
import { LRUCache } from 'lru-cache'
import { Pool } from 'undici'
import * as schemas from './schemas.js'
import { client, elements, parse, request } from './translate.js'

const upstream = new URL(process.env.UPSTREAM_URL)
const pool = new Pool(upstream.origin, { connections: 256, pipelining: 1, keepAliveTimeout: 60_000 })
const authorization = `Basic ${Buffer.from('bench:X').toString('base64')}`
const headers = { 'content-type': 'application/xml', authorization }
const cache = new LRUCache({ max: 100_000, maxSize: 256 * 1024 * 1024, sizeCalculation: ({ body }) => body.length, ttl: 30_000 })

const app = Fastify({ logger: false, keepAliveTimeout: 75_000 })

async function call (method, content) {
  const { body } = await pool.request({ method: 'POST', path: upstream.pathname, headers, body: request(method, content) })
  return parse(await body.text())
}

function ready (reply, value) {
  const body = Buffer.from(reply.serialize(value))
  return { body, etag: `"${createHash('sha1').update(body).digest('base64url')}"` }
}

function send (req, reply, { body, etag }) {
  reply.header('etag', etag).header('cache-control', 'private, no-cache')
  if (req.headers['if-none-match'] === etag) return reply.code(304).send()
  return reply.type('application/json; charset=utf-8').send(body)
}

async function cached (name, fetch) {
  let found = cache.get(name)
  if (found === undefined) {
    found = await fetch()
    cache.set(name, found)
  }
  return found
}

const fetchClient = async (reply, id) => ready(reply, client((await call('client.get', { client_id: id })).client))

app.get('/readyz', async () => 'ready')

app.get('/clients/:id', { schema: { params: schemas.key, response: { 200: schemas.client } } }, async (req, reply) => {
  const { id } = req.params
  return send(req, reply, await cached(`client:${id}`, () => fetchClient(reply, id)))
})

app.get('/clients', { schema: { querystring: schemas.query, response: { 200: schemas.page } } }, async (req, reply) => {
  const { page, per_page: perPage } = req.query
  const found = await cached(`page:${page}:${perPage}`, async () => {
    const { clients } = await call('client.list', { page, per_page: perPage })
    const items = (clients.client ?? []).map(client)
    return ready(reply, { items, page, per_page: perPage, pages: Number(clients['@pages']), total: Number(clients['@total']) })
  })
  return send(req, reply, found)
})

app.post('/clients', { schema: { body: schemas.creation, response: { 201: schemas.client } } }, async (req, reply) => {
  const id = Number((await call('client.create', { client: elements(req.body) })).client_id)
  const created = client((await call('client.get', { client_id: id })).client)
  cache.delete(`client:${id}`)
  return reply.code(201).header('location', `/clients/${id}`).send(created)
})

const patch = { params: schemas.key, body: schemas.change, response: { 200: schemas.client } }
app.patch('/clients/:id', { schema: patch }, async (req, reply) => {
  const { id } = req.params
  await call('client.update', { client: { client_id: id, ...elements(req.body) } })
  cache.delete(`client:${id}`)
  const changed = await fetchClient(reply, id)
  cache.set(`client:${id}`, changed)
  return send(req, reply, changed)
})

await app.listen({ host: '127.0.0.1', port: Number(process.env.PORT) })
