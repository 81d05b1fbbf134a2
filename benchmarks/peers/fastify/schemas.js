// What Fastify validates bodies with and compiles its serialisers from.
const text = { type: ['string', 'null'] }
const texts = (...names) => Object.fromEntries(names.map((name) => [name, text]))
const object = (properties) => ({ type: 'object', properties })

const address = { ...object(texts('street1', 'street2', 'city', 'state', 'country', 'postal_code')), additionalProperties: false }
const writable = {
  ...texts('first_name', 'last_name', 'organization', 'email', 'username', 'work_phone', 'home_phone', 'mobile', 'fax',
    'language', 'currency_code', 'notes'),
  primary_address: address,
  secondary_address: address,
  ...texts('vat_name', 'vat_number')
}

export const client = object({
  id: { type: 'integer' },
  ...writable,
  contacts: {
    type: 'array',
    items: object({ id: { type: 'integer' }, ...texts('username', 'first_name', 'last_name', 'email', 'phone1', 'phone2') })
  },
  credits: { type: 'array', items: object(texts('amount', 'currency')) },
  links: object(texts('client_view', 'view', 'statement')),
  ...texts('folder', 'updated_at')
})

const number = { type: 'integer' }
export const page = object({ items: { type: 'array', items: client }, page: number, per_page: number, pages: number, total: number })

export const key = { ...object({ id: { type: 'integer', minimum: 1 } }), required: ['id'] }
export const query = object({
  page: { type: 'integer', minimum: 1, default: 1 },
  per_page: { type: 'integer', minimum: 1, maximum: 100, default: 25 }
})
export const change = { ...object(writable), additionalProperties: false }
export const creation = { ...change, required: ['email'] }
