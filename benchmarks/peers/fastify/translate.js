// XML to JSON and back with fast-xml-parser, in the shape of the gateway's contract.
import { XMLBuilder, XMLParser } from 'fast-xml-parser'

const LISTS = new Set(['response.clients.client', 'contact', 'credit'])
const TEXTS = ['first_name', 'last_name', 'organization', 'email', 'username', 'work_phone', 'home_phone', 'mobile', 'fax',
  'language', 'currency_code', 'notes', 'vat_name', 'vat_number']
const ADDRESS = { street1: 'street1', street2: 'street2', city: 'city', state: 'state', country: 'country', postal_code: 'code' }

const parser = new XMLParser({
  ignoreAttributes: false,
  attributeNamePrefix: '@',
  parseTagValue: false,
  isArray: (name, path) => LISTS.has(path) || LISTS.has(name)
})
const builder = new XMLBuilder({ ignoreAttributes: false, attributeNamePrefix: '@' })

const zone = new Intl.DateTimeFormat('en-US', { timeZone: 'America/New_York', timeZoneName: 'longOffset' })
const offsets = new Map()

// The offset of a wall time, to the hour; looked up once, because the formatter is slow.
function offsetAt (wall) {
  const hour = wall.slice(0, 13)
  let offset = offsets.get(hour)
  if (offset === undefined) {
    const guess = new Date(`${hour.replace(' ', 'T')}:00:00-05:00`)
    const name = zone.formatToParts(guess).find((part) => part.type === 'timeZoneName').value
    offset = name.slice(3)
    offsets.set(hour, offset)
  }
  return offset
}

function instant (wall) {
  return !wall || wall.startsWith('0000') ? null : `${wall.replace(' ', 'T')}${offsetAt(wall)}`
}

const text = (value) => (value === undefined || value === '' ? null : value)

function address (row, prefix) {
  return {
    street1: text(row[`${prefix}street1`]),
    street2: text(row[`${prefix}street2`]),
    city: text(row[`${prefix}city`]),
    state: text(row[`${prefix}state`]),
    country: text(row[`${prefix}country`]),
    postal_code: text(row[`${prefix}code`])
  }
}

function contact (row) {
  return {
    id: Number(row.contact_id),
    username: text(row.username),
    first_name: text(row.first_name),
    last_name: text(row.last_name),
    email: text(row.email),
    phone1: text(row.phone1),
    phone2: text(row.phone2)
  }
}

export function client (row) {
  return {
    id: Number(row.client_id),
    first_name: text(row.first_name),
    last_name: text(row.last_name),
    organization: text(row.organization),
    email: text(row.email),
    username: text(row.username),
    work_phone: text(row.work_phone),
    home_phone: text(row.home_phone),
    mobile: text(row.mobile),
    fax: text(row.fax),
    language: text(row.language),
    currency_code: text(row.currency_code),
    notes: text(row.notes),
    primary_address: address(row, 'p_'),
    secondary_address: address(row, 's_'),
    vat_name: text(row.vat_name),
    vat_number: text(row.vat_number),
    contacts: (row.contacts?.contact ?? []).map(contact),
    credits: (row.credits?.credit ?? []).map((credit) => ({ amount: credit['#text'], currency: credit['@currency'] })),
    links: {
      client_view: text(row.links?.client_view),
      view: text(row.links?.view),
      statement: text(row.links?.statement)
    },
    folder: text(row.folder),
    updated_at: instant(row.updated)
  }
}

// The response's content. Throws when the upstream reports a fault.
export function parse (xml) {
  const response = parser.parse(xml).response
  if (response?.['@status'] !== 'ok') throw new Error(response?.error ?? 'no answer of the API')
  return response
}

export const request = (method, content) => builder.build({ request: { '@method': method, ...content } })

// What a caller writes, as elements.
export function elements (body) {
  const found = {}
  for (const name of TEXTS) {
    if (name in body) found[name] = body[name] ?? ''
  }
  for (const [group, prefix] of [['primary_address', 'p_'], ['secondary_address', 's_']]) {
    for (const [name, value] of Object.entries(body[group] ?? {})) found[prefix + ADDRESS[name]] = value ?? ''
  }
  return found
}
