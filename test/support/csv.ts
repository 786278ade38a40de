/** RFC 4180, read strictly: records end in CRLF, a quote inside a quoted field is doubled. */
export const readCsv = (text: string): string[][] => {
  const records: string[][] = []
  let record: string[] = []
  let field = ''
  for (let at = 0; at < text.length; ) {
    if (text[at] === '"' && field === '') {
      for (at += 1; text[at] !== '"' || text[at + 1] === '"'; at += text[at] === '"' ? 2 : 1) {
        if (at >= text.length) throw new Error('a quoted field does not end')
        field += text[at]
      }
      at += 1
      if (text[at] !== ',' && text[at] !== '\r') throw new Error(`a quoted field goes on at ${at}`)
    } else if (text[at] === ',') {
      record.push(field)
      field = ''
      at += 1
    } else if (text[at] === '\r' && text[at + 1] === '\n') {
      records.push([...record, field])
      record = []
      field = ''
      at += 2
    } else if (/["\r\n]/.test(text[at] ?? '')) {
      throw new Error(`bare ${JSON.stringify(text[at])} at ${at}`)
    } else {
      field += text[at]
      at += 1
    }
  }
  if (field !== '' || record.length > 0) throw new Error('the last record does not end in CRLF')
  return records
}
