// fastify and aedes in one process: a trigger is published into the broker. Settings as the two documentations advise.
//
//     node fastify_aedes.mjs PUBLIC.pem
//
// API keys and desktops' tokens are ES256 JWTs, verified once and then remembered.
import { createServer } from 'node:net'
import { createPublicKey, randomUUID, verify } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { Aedes } from 'aedes'
import Fastify from 'fastify'

const publicKey = createPublicKey(readFileSync(process.argv[2]))
const REMEMBERED = 50_000 // tokens
const TTL = 30_000 // milliseconds
const known = new Map()

function claimsOf (token) {
  let claims = known.get(token)
  if (claims === undefined) {
    const [head, body, signature] = token.split('.')
    if (signature === undefined) return null
    if (JSON.parse(Buffer.from(head, 'base64url')).alg !== 'ES256') return null
    const key = { key: publicKey, dsaEncoding: 'ieee-p1363' }
    if (!verify('sha256', Buffer.from(`${head}.${body}`), key, Buffer.from(signature, 'base64url'))) return null
    claims = JSON.parse(Buffer.from(body, 'base64url'))
    if (known.size >= REMEMBERED) known.clear()
    known.set(token, claims)
  }
  return claims.exp * 1000 > Date.now() ? claims : null
}

const aedes = await Aedes.createBroker()

aedes.authenticate = (client, username, password, done) => {
  const claims = claimsOf(String(password))
  client.claims = claims
  done(null, claims !== null && username === `${claims.customer}/${claims.agent}`)
}

aedes.authorizeSubscribe = (client, subscription, done) => {
  const levels = subscription.topic.split('/')
  const own = levels[1] === client.claims.customer && levels.at(-1) === client.claims.agent
  done(null, own ? subscription : null)
}

const fastify = Fastify({ logger: false })

const schema = {
  body: {
    type: 'object',
    required: ['agentid', 'event'],
    properties: { agentid: { type: 'string' }, event: { type: 'string' } }
  },
  response: {
    200: {
      type: 'object',
      properties: {
        success: { type: 'boolean' },
        popid: { type: 'string' },
        status: { type: 'string' },
        topic: { type: 'string' }
      }
    }
  }
}

fastify.post('/api/sendmessage/CTI', { schema }, (request, reply) => {
  const claims = claimsOf((request.headers.authorization ?? '').replace('Bearer ', ''))
  if (claims === null) {
    reply.code(401).send()
    return
  }
  const { agentid, event, ...data } = request.body
  const popid = randomUUID()
  const now = Date.now()
  const document = {
    popid, event, agentid, sent: new Date(now).toISOString(), expires: new Date(now + TTL).toISOString(), data
  }
  const topic = `CTI/${claims.customer}/${agentid}`
  aedes.publish({ topic, payload: JSON.stringify(document), qos: 1, retain: false }, (error) => {
    if (error) reply.send(error)
    else reply.send({ success: true, popid, status: 'sent', topic })
  })
})

const mqtt = createServer({ keepAlive: true, noDelay: true }, aedes.handle)
await new Promise((resolve) => mqtt.listen({ port: 0, host: '127.0.0.1', backlog: 4096 }, resolve))
await fastify.listen({ port: 0, host: '127.0.0.1' })
console.log(`ready http=127.0.0.1:${fastify.server.address().port} mqtt=127.0.0.1:${mqtt.address().port}`)

process.on('SIGTERM', () => process.exit(0))
