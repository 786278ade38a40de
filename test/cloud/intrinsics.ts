/** CloudFormation's intrinsic functions over synthesised templates, as far as the stacks use them; any other stops the test. */

export interface Resource {
  Type: string
  Properties?: Record<string, unknown>
  DependsOn?: string | string[]
}

export interface Template {
  Resources: Record<string, Resource>
  Outputs?: Record<string, { Value: unknown; Export?: { Name: unknown } }>
  Parameters?: Record<string, { Default?: unknown; Type?: string }>
  Conditions?: Record<string, unknown>
}

/** What a resource is called once it exists: `attribute` undefined for Ref. */
export type Physical = (stack: string, logical_id: string, resource: Resource, attribute: string | undefined) => unknown

export const pseudo: Readonly<Record<string, string>> = {
  'AWS::Region': 'us-east-1',
  'AWS::AccountId': '123456789012',
  'AWS::Partition': 'aws',
  'AWS::URLSuffix': 'amazonaws.com',
  'AWS::StackId': 'arn:aws:cloudformation:us-east-1:123456789012:stack/test/1',
  'AWS::NoValue': '',
}

export type Evaluate = (stack: string, value: unknown) => unknown

/** Evaluates any value of any of the templates; exports are found across stacks. */
export const evaluator = (templates: ReadonlyMap<string, Template>, physical: Physical): Evaluate => {
  const templateOf = (stack: string): Template => {
    const found = templates.get(stack)
    if (!found) throw new Error(`no stack ${stack}`)
    return found
  }

  const named = (stack: string, logical_id: string, attribute: string | undefined): unknown => {
    const template = templateOf(stack)
    const resource = template.Resources[logical_id]
    if (resource) return physical(stack, logical_id, resource, attribute)
    const parameter = template.Parameters?.[logical_id]
    if (parameter?.Type?.startsWith('AWS::SSM::Parameter::Value')) return stored(String(parameter.Default))
    if (parameter) return parameter.Default ?? logical_id
    throw new Error(`${stack} has no ${logical_id}`)
  }

  /** What a parameter of the account holds that one of the stacks writes. */
  const stored = (name: string): unknown => {
    for (const [stack, { Resources }] of templates)
      for (const { Type, Properties = {} } of Object.values(Resources))
        if (Type === 'AWS::SSM::Parameter' && evaluate(stack, Properties.Name) === name) return evaluate(stack, Properties.Value)
    return name
  }

  const exported = (name: unknown): unknown => {
    for (const [stack, { Outputs = {} }] of templates)
      for (const output of Object.values(Outputs))
        if (output.Export && evaluate(stack, output.Export.Name) === name) return evaluate(stack, output.Value)
    throw new Error(`nothing exports ${String(name)}`)
  }

  const list = (stack: string, value: unknown): unknown[] => {
    const found = evaluate(stack, value)
    if (!Array.isArray(found)) throw new Error(`wanted a list, got ${JSON.stringify(found)}`)
    return found
  }

  const functions: Record<string, (stack: string, argument: unknown) => unknown> = {
    Ref: (stack, name) => pseudo[String(name)] ?? named(stack, String(name), undefined),
    'Fn::GetAtt': (stack, argument) => {
      const [logical_id = '', ...attribute] = Array.isArray(argument) ? argument.map(String) : String(argument).split('.')
      return named(stack, logical_id, attribute.join('.'))
    },
    'Fn::Join': (stack, argument) => {
      const [separator, parts] = Array.isArray(argument) ? argument : []
      return list(stack, parts).join(String(separator))
    },
    'Fn::Sub': (stack, argument) => {
      const [text, values] = Array.isArray(argument) ? argument : [argument, {}]
      return String(text).replace(/\$\{([^}]+)\}/g, (_, name: string) => {
        const given: unknown = Reflect.get(Object(values), name)
        if (given !== undefined) return String(evaluate(stack, given))
        const [logical_id = '', ...attribute] = name.split('.')
        return String(pseudo[name] ?? named(stack, logical_id, attribute.length ? attribute.join('.') : undefined))
      })
    },
    'Fn::Select': (stack, argument) => {
      const [at, from] = Array.isArray(argument) ? argument : []
      return list(stack, from)[Number(at)]
    },
    'Fn::Split': (stack, argument) => {
      const [separator, text] = Array.isArray(argument) ? argument : []
      return String(evaluate(stack, text)).split(String(separator))
    },
    'Fn::ImportValue': (stack, name) => exported(evaluate(stack, name)),
    'Fn::GetAZs': () => ['us-east-1a', 'us-east-1b'],
  }

  const evaluate: Evaluate = (stack, value) => {
    if (Array.isArray(value)) return value.map((item) => evaluate(stack, item))
    if (typeof value !== 'object' || value === null) return value
    const [[name, argument] = ['', undefined], ...others] = Object.entries(value)
    if (others.length === 0 && (name === 'Ref' || name.startsWith('Fn::'))) {
      const run = functions[name]
      if (!run) throw new Error(`${name} is not known to this evaluator`)
      return run(stack, argument)
    }
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, evaluate(stack, item)]))
  }
  return evaluate
}

/** Resources of one type in all stacks, evaluated. */
export const resourcesOf = (templates: ReadonlyMap<string, Template>, evaluate: Evaluate, type: string) =>
  [...templates].flatMap(([stack, { Resources }]) =>
    Object.entries(Resources)
      .filter(([, resource]) => resource.Type === type)
      .map(([logical_id, { Properties = {} }]) => ({
        stack,
        logical_id,
        properties: Object(evaluate(stack, Properties)) as Record<string, unknown>,
      })),
  )
