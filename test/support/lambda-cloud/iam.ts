import { CloudFault, type CloudOptions, type CloudRole, type CloudState } from './state.ts'

/** IAM's roles, in its query protocol: a form in, XML out. */
type Action = (state: CloudState, form: URLSearchParams, options: CloudOptions) => string

const noEntity = (what: string) => new CloudFault('NoSuchEntity', 404, `The role with name ${what} cannot be found.`)
const malformed = () => new CloudFault('MalformedPolicyDocument', 400, 'Syntax errors in policy.')
const escaped = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')

const roleOf = ({ roles }: CloudState, form: URLSearchParams): CloudRole => {
  const name = form.get('RoleName') ?? ''
  const found = roles.get(name)
  if (!found) throw noEntity(name)
  return found
}

const document = (text: string | null): string => {
  try {
    JSON.parse(text ?? '')
  } catch {
    throw malformed()
  }
  return text ?? ''
}

const roleXml = ({ account }: CloudOptions, { name, path, boundary, trust }: CloudRole): string =>
  `<RoleName>${name}</RoleName><Path>${path}</Path><Arn>arn:aws:iam::${account}:role${path}${name}</Arn><RoleId>AROA${name.length}</RoleId>` +
  `<CreateDate>2026-11-20T00:00:00Z</CreateDate><AssumeRolePolicyDocument>${encodeURIComponent(trust)}</AssumeRolePolicyDocument>` +
  (boundary === undefined
    ? ''
    : `<PermissionsBoundary><PermissionsBoundaryType>Policy</PermissionsBoundaryType><PermissionsBoundaryArn>${boundary}</PermissionsBoundaryArn></PermissionsBoundary>`)

const tagsIn = (form: URLSearchParams): Record<string, string> => {
  const tags: Record<string, string> = {}
  for (let at = 1; form.has(`Tags.member.${at}.Key`); at += 1)
    tags[form.get(`Tags.member.${at}.Key`) ?? ''] = form.get(`Tags.member.${at}.Value`) ?? ''
  return tags
}

export const iam: Record<string, Action> = {
  CreateRole: (state, form, options) => {
    const name = form.get('RoleName') ?? ''
    if (!/^[\w+=,.@-]{1,64}$/.test(name))
      throw new CloudFault('ValidationError', 400, `1 validation error detected: roleName ${name}`)
    if (state.roles.has(name)) throw new CloudFault('EntityAlreadyExists', 409, `Role with name ${name} already exists.`)
    const made: CloudRole = {
      name,
      path: form.get('Path') ?? '/',
      boundary: form.get('PermissionsBoundary') ?? undefined,
      trust: document(form.get('AssumeRolePolicyDocument')),
      policies: new Map(),
      tags: tagsIn(form),
      unknown_for: options.role_delay,
    }
    state.roles.set(name, made)
    return `<Role>${roleXml(options, made)}</Role>`
  },
  GetRole: (state, form, options) => `<Role>${roleXml(options, roleOf(state, form))}</Role>`,
  ListRoles: (state, form, options) => {
    const prefix = form.get('PathPrefix') ?? '/'
    const found = [...state.roles.values()].filter(({ path }) => path.startsWith(prefix))
    return `<Roles>${found.map((role) => `<member>${roleXml(options, role)}</member>`).join('')}</Roles><IsTruncated>false</IsTruncated>`
  },
  DeleteRole: (state, form) => {
    const role = roleOf(state, form)
    if (role.policies.size > 0) throw new CloudFault('DeleteConflict', 409, 'Cannot delete entity, must delete policies first.')
    state.roles.delete(role.name)
    return ''
  },
  PutRolePermissionsBoundary: (state, form) => {
    roleOf(state, form).boundary = form.get('PermissionsBoundary') ?? undefined
    return ''
  },
  UpdateAssumeRolePolicy: (state, form) => {
    roleOf(state, form).trust = document(form.get('PolicyDocument'))
    return ''
  },
  ListRolePolicies: (state, form) =>
    `<PolicyNames>${[...roleOf(state, form).policies.keys()].map((name) => `<member>${name}</member>`).join('')}</PolicyNames><IsTruncated>false</IsTruncated>`,
  PutRolePolicy: (state, form) => {
    const text = document(form.get('PolicyDocument'))
    if (text.length > 10_240) throw new CloudFault('LimitExceeded', 409, 'Maximum policy size of 10240 bytes exceeded')
    roleOf(state, form).policies.set(form.get('PolicyName') ?? '', text)
    return ''
  },
  GetRolePolicy: (state, form) => {
    const role = roleOf(state, form)
    const name = form.get('PolicyName') ?? ''
    const text = role.policies.get(name)
    if (text === undefined) throw noEntity(name)
    return `<RoleName>${role.name}</RoleName><PolicyName>${name}</PolicyName><PolicyDocument>${encodeURIComponent(text)}</PolicyDocument>`
  },
  DeleteRolePolicy: (state, form) => {
    const name = form.get('PolicyName') ?? ''
    if (!roleOf(state, form).policies.delete(name)) throw noEntity(name)
    return ''
  },
}

export const iamReply = (action: string, result: string): string =>
  `<${action}Response xmlns="https://iam.amazonaws.com/doc/2010-05-08/"><${action}Result>${result}</${action}Result><ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></${action}Response>`

export const iamFault = ({ code, message }: CloudFault): string =>
  `<ErrorResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/"><Error><Type>Sender</Type><Code>${code}</Code><Message>${escaped(message)}</Message></Error><RequestId>r</RequestId></ErrorResponse>`
