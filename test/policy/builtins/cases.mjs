/**
 * Calls of builtins whose answers OPA gives: written by hand where the edges are, made up from a fixed seed for breadth.
 * Arguments are Rego text, since JSON has neither sets nor digits that stay as they are.
 */
const json = (value) => JSON.stringify(value);

const of = (call, ...rows) => rows.map((args) => ({ call, args: args.map((arg) => (typeof arg === 'object' && arg !== null && 'rego' in arg ? arg.rego : json(arg))) }));
const raw = (rego) => ({ rego });

/** A small generator with a fixed seed: the same cases everywhere. */
const seeded = (seed) => {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
  return { next, int: (below) => Math.floor(next() * below), pick: (list) => list[Math.floor(next() * list.length)] };
};

const sprintfCases = (random, count) => {
  const rows = [
    ['%d', [1]], ['%s', ['x']], ['%v', [{ a: [1, 'x', null, true] }]], ['%v', [raw('{3, 1, 2}')]], ['%v %v', [raw('set()'), raw('{{"a"}, [1]}')]],
    ['%d%%', [42]], ['%', []], ['%d', []], ['%d', ['x']], ['%s', [1]], ['%s %s', ['a']], ['a', [1, 'b', raw('1.5'), raw('99999999999999999999')]], ['%!', []], ['%[2]d %[1]d', [1, 2]],
    ['%[3]d', [1]], ['%[x]d', [1]], ['%[1]', [1]], ['%*d', [5, 1]], ['%-*d|', [5, 1]], ['%*d', [-5, 1]], ['%.*f', [2, raw('3.14159')]], ['%*d', ['x', 1]], ['%.*d', [-1, 7]],
    ['%t', [true]], ['%v', [null]], ['%q', ['a"b\n\u0001é\u200b😀']], ['%+q', ['é😀']], ['%#q', ['a`b']], ['%#q', ['ab']], ['%x', ['hé']], ['% x', ['abc']], ['%# x', ['abc']], ['%#X', ['abc']], ['%x', ['']],
    ['%c', [128512]], ['%c', [-1]], ['%q', [65]], ['%q', [39]], ['%U', [128512]], ['%#U', [9731]], ['%U', [-1]], ['%O', [8]], ['%#o', [8]], ['%#x', [255]], ['%#b', [5]], ['%b', [-5]], ['%+d', [5]], ['% d', [5]], ['%05d', [-42]], ['%-5d|', [42]], ['%5.3d', [7]], ['%.0d', [0]], ['%+v', [5]], ['%#v', [5]], ['%#v', ['x']], ['%T', [5]], ['%T', ['x']], ['%T', [raw('1.5')]], ['%p', [5]], ['%w', [5]],
    ['%5s|%-5s|%.2s', ['é', 'é', 'héé']], ['%05s', ['ab']], ['%5t', [true]], ['%v', [raw('1.0')]], ['%d', [raw('1.0')]], ['%s', [raw('1.5')]], ['%v', [raw('1e2')]], ['%v', [raw('1e400')]], ['%d', [raw('1e2')]], ['%v', [raw('100000000000000000000000')]], ['%d', [raw('100000000000000000000000')]], ['%x', [raw('100000000000000000000000')]], ['%+040d', [raw('100000000000000000000000')]], ['%s', [raw('100000000000000000000000')]], ['%f', [raw('100000000000000000000000')]], ['%f', [1]], ['%v', [raw('-0')]], ['%v', [raw('0.1')]], ['%v', [raw('123456789.0')]], ['%v', [raw('1e21')]], ['%v', [raw('0.00001')]], ['%g', [raw('1234567.5')]], ['%e', [raw('123456.789')]], ['%G', [raw('1e-10')]], ['%6.2f|', [raw('3.14159')]], ['%-8.3f|', [raw('2.0005')]], ['%+.1f', [raw('0.05')]], ['%08.3f', [raw('-3.14159')]], ['%.0f', [raw('0.5')]], ['%.0f', [raw('1.5')]], ['%.0f', [raw('2.5')]], ['%.3g', [raw('1234.5')]], ['%.10g', [raw('0.1')]], ['%.20f', [raw('0.1')]],
    ['%é', [1]], ['%-', [1]], ['%5', [1]], ['%.', [1]], ['%.d', [1]], ['%99999999d', [1]], ['%[1]*d', [3]], ['%[2]*[1]d', [1, 5]], ['%[1]d %d', [1, 2]], ['%[5]d %d', [1, 2]], ['%[]d', [1]], ['%[1', [1]], ['%d %d', [1, 2, 3]], ['x%%y%', []], ['\u00e9%d\ud83d\ude00', [1]],
  ];
  const verbs = [...Array.from('vTdboOxXcqUeEfFgGstpzw'), 'é'];
  const values = ['1', '-7', '0', '255', '1099511627776', '-9223372036854775808', '18446744073709551616', '-123456789012345678901234567890', '0.5', '-2.25', '1e-7', '123456.789', '1.7976931348623157e308', '"abc"', '"h\\u00e9\\u0007"', '""', '[1, "a"]', '{"k": {1, 2}}', 'true', 'null'];
  for (let index = 0; index < count; index += 1) {
    let format = '';
    const args = [];
    for (let part = 0; part <= random.int(3); part += 1) {
      format += random.pick(['', 'a', ' ', '%%', 'ü']) + '%';
      while (random.next() < 0.35) format += random.pick(['+', '-', ' ', '0', '#']);
      if (random.next() < 0.12) format += `[${random.pick(['1', '2', '3', '0', 'a'])}]`;
      if (random.next() < 0.35) format += random.pick(['1', '4', '12', '*']);
      if (random.next() < 0.3) format += `.${random.pick(['', '0', '1', '3', '9', '*'])}`;
      format += random.pick(verbs);
      if (random.next() < 0.95) args.push(random.pick(values));
    }
    rows.push([format, args.map((text) => raw(text))]);
  }
  return rows.map(([format, args]) => ({ call: 'sprintf', args: [json(format), `[${args.map((arg) => (isRaw(arg) ? arg.rego : json(arg))).join(', ')}]`] }));
};
const isRaw = (arg) => typeof arg === 'object' && arg !== null && 'rego' in arg;

const LAYOUTS = ['ANSIC', 'UnixDate', 'RubyDate', 'RFC822', 'RFC822Z', 'RFC850', 'RFC1123', 'RFC1123Z', 'RFC3339', 'RFC3339Nano', '2006-01-02', '02/01/06 03:04:05PM', 'Monday, 2 January 2006 15:04:05.000 -07:00', 'Jan _2 3:4:5pm', '2006 002 __2', '15:04:05,999 Z070000', '-070000 -07 Z07', 'Z07:00:00 -07:00:00', '_2006 Janes Mond 06', '.00 .999999999 .0a .9b 5', '', 'x'];

const timeCases = (random, count) => {
  const instants = ['0', '1700000000123456789', '1582977600000000000', '-1', '951782400000000000', '9223372036854775807', '-9223372036854775808', '1709251199999999999', '1e9', '1.5', '9223372036854775808', '1700000000120000000'];
  const zones = ['UTC', '', 'Europe/Berlin', 'America/New_York', 'Asia/Kolkata', 'Australia/Lord_Howe', 'Pacific/Apia', 'europe/berlin', 'Nowhere', 'EST5EDT', 'Etc/GMT+5', 'Africa/Casablanca', 'Asia/Kathmandu'];
  const rows = [];
  for (const ns of instants) {
    for (const call of ['date', 'clock', 'weekday', 'format']) rows.push({ call: `time.${call}`, args: [ns] });
    for (const layout of LAYOUTS) rows.push({ call: 'time.format', args: [`[${ns}, "UTC", ${json(layout)}]`] });
  }
  for (const zone of zones) for (const call of ['date', 'clock', 'weekday', 'format']) rows.push({ call: `time.${call}`, args: [`[1700000000123456789, ${json(zone)}]`] });
  rows.push(...['[]', '[1]', '"x"', '[1, 2]', '["x"]', '[1, "UTC", 3]', '[1700000000000000000, "Europe/Berlin", "MST"]', '[1700000000000000000, "Europe/Berlin", "RFC1123Z"]'].map((arg) => ({ call: 'time.format', args: [arg] })));
  for (let index = 0; index < count; index += 1) {
    const ns = (BigInt(random.int(2 ** 31)) * 1_000_000_000n + BigInt(random.int(1e9))).toString();
    const zone = random.pick(zones);
    rows.push({ call: 'time.format', args: [`[${ns}, ${json(zone)}, ${json(random.pick(LAYOUTS))}]`] });
    const other = (BigInt(random.int(2 ** 31)) * 1_000_000_000n).toString();
    rows.push({ call: 'time.diff', args: [`[${ns}, ${json(zone)}]`, `[${other}, ${json(random.pick(zones))}]`] });
    rows.push({ call: 'time.add_date', args: [`[${ns}, ${json(zone)}]`, String(random.int(20) - 10), String(random.int(40) - 20), String(random.int(800) - 400)] });
  }
  rows.push({ call: 'time.add_date', args: ['1582977600000000000', '1', '0', '0'] }, { call: 'time.add_date', args: ['0', '1000000000', '0', '0'] }, { call: 'time.add_date', args: ['0', '1.5', '0', '0'] }, { call: 'time.add_date', args: ['0', '0', '0', '1e3'] }, { call: 'time.add_date', args: ['[0, "Europe/Berlin"]', '-1', '0', '0'] });
  const parse = (layout, ...texts) => texts.map((text) => ({ call: 'time.parse_ns', args: [json(layout), json(text)] }));
  rows.push(
    ...parse('RFC3339', '2024-02-29T12:00:00Z', '2023-02-29T12:00:00Z', '2024-02-29T24:00:00Z', '2024-02-29T12:00:00.123456789+02:00', '2024-02-29T12:00:00,5Z', '2024-02-29 12:00:00Z', '2024-02-29T12:00:00+24:60', '2024-02-29T12:00:00+25:00', '2024-2-29T12:00:00Z', '1600-01-01T00:00:00Z', '2024-02-29T12:00:60Z', '2024-02-29T12:00:00-00:00', '2024-02-29T12:00:00.Z', '', '2024-02-29T12:00:00Zx'),
    ...parse('2006-01-02', '2024-13-01', '2024-00-10', '2024-12-31', '2024-12-3', ' 2024-12-31'),
    ...parse('RFC1123', 'Mon, 02 Jan 2006 15:04:05 MST', 'mon, 02 jan 2006 15:04:05 GMT', 'Mon, 02 Jan 2006 15:04:05 GMT+3', 'Mon, 02 Jan 2006 15:04:05 UTC', 'Xon, 02 Jan 2006 15:04:05 MST', 'Tue, 02 Jan 2006 15:04:05 abc', 'Tue, 02 Jan 2006 15:04:05 ABCDE', 'Tue, 02 Jan 2006 15:04:05 WITA', 'Tue, 02 Jan 2006 15:04:05 +03'),
    ...parse('UnixDate', 'Mon Jan  2 15:04:05 MST 2006', 'Mon Jan 12 15:04:05 CEST 2006'), ...parse('RubyDate', 'Mon Jan 02 15:04:05 -0700 2006', 'Mon Jan 02 15:04:05 0700 2006'),
    ...parse('Jan _2 2006 3:04PM', 'Feb  3 2013 12:00AM', 'Feb 13 2013 12:30PM', 'Feb 3 2013 1:00pm', 'Feb 13 2013 13:00PM', 'February 3 2013 1:00PM'), ...parse('06-1-2', '69-1-2', '68-1-2', '99-12-31', '1-1-1', '+5-1-1'),
    ...parse('2006 002', '2024 060', '2024 366', '2023 366', '2023 365', '2024 000', '2024 60'), ...parse('2006 __2', '2024  60', '2024   1', '2024 366'), ...parse('2006-01-02 002', '2024-02-29 060', '2024-03-01 060'),
    ...parse('15:04:05.000', '01:02:03.004', '01:02:03.0045', '1:02:03.004', '24:02:03.004'), ...parse('15:04:05.999', '01:02:03.0045678919', '01:02:03', '01:02:03.'), ...parse('15:04:05', '01:02:03.25', '01:02:3'), ...parse('Monday January', 'Sunday may', 'sunday  May'), ...parse('  2006', '2024', ' 2024'), ...parse('Z07:00:00', '+01:02:03', 'Z', '-01:02'), ...parse('-070000', '-010203'), ...parse('-07', '+05', '5'), ...parse('3:04 pm', '12:04 am', '12:04 AM'),
  );
  rows.push(...['2024-02-29T12:00:00Z', '2024-02-29T12:00:00.5+01:00', '2024-02-29t12:00:00z', '2300-01-01T00:00:00Z', 'x'].map((text) => ({ call: 'time.parse_rfc3339_ns', args: [json(text)] })));
  rows.push(...['1h', '1h30m', '-1.5h', '300ms', '1us', '1µs', '1μs', '10ns', '1d', '2w3d', '1y', '1.5d', '.5h', '1.h', '.h', 'h', '', '0', '+0', '-', '1', '1x', '1d2', '-1d12h', '9223372036854775807ns', '9223372036854775808ns', '-9223372036854775808ns', '2562047h47m16.854775807s', '1e3s', '0.000000001s', '1.1.1d', '1dd', '1 h', '300y', '1h1h', '1mo', '0.1ns', '1μs1d', '1µs1d', '3.3333333333333333333333h'].map((text) => ({ call: 'time.parse_duration_ns', args: [json(text)] })));
  return rows;
};

const regexCases = () => {
  const patterns = ['a', 'a*', '', '(a)(b)?', 'a|b', '^', '$', '\\b', '[[:alpha:]]+', '(?i)ABC', '\\d+', 'é', '.', '(?P<year>\\d{4})-(?P<month>\\d\\d)', '(?<x>a)', 'x*?', '\\pL+', '\\p{Greek}', 'a{2,3}', '(', 'a**', '(?=a)', '(?<=a)', '\\1', '\\C', '\\Qa.b\\E', '[^a]', '(?s).', '(?m)^a$', '\\z', '\\Z', '\\A', '[a-', 'a{1001}', '\\x{10FFFF}', '\\w\\W', '(?U)a+', 'a++', '(?:a)', '(?#x)a', '[\\w-]', '\\h', '\\Ga', '\\R', '\\X', '(?x) a', '[[:word:]]', '\\N', '\\u0041', '\\07', '\\e', '[[a]]', 'a&&b', '[a&&b]'];
  const texts = ['', 'aab', 'abcABC é1é 2024-05', 'a\nb\n a.b', '😀a😀αβγ'];
  const rows = [];
  for (const pattern of patterns) {
    for (const text of texts) {
      rows.push(...of('regex.find_n', [pattern, text, -1]), ...of('regex.split', [pattern, text]), ...of('regex.replace', [text, pattern, '<$0>']));
    }
  }
  rows.push(
    ...of('regex.find_n', ['a', 'aaaa', 2], ['a', 'aaaa', 0], ['a', 'aaaa', raw('1.5')], ['a*', 'baac', 2]),
    ...of('regex.replace', ['2024-05', '(?P<y>\\d+)-(?P<m>\\d+)', '${m}/$y'], ['2024-05', '(?P<y>\\d+)-(?P<m>\\d+)', '$m/$yx'], ['ab', '(a)(b)', '$2$1$$'], ['ab', '(a)(b)', '$3$1'], ['ab', '(a)(b)', '${'], ['ab', '(a)(b)', '$ ${1}x $1x'], ['ab', '(a)(c)?b', '[$2]'], ['foo', '^[a-z]', 'F'], ['ab', 'a', '$01'], ['ab', 'a', '$constructor'], ['a.b.c', '\\.', '']),
    ...of('regex.template_match', ['urn:foo:{.*}', 'urn:foo:bar:baz', '{', '}'], ['urn:foo:{.*', 'urn:foo:bar', '{', '}'], ['urn:foo:{.*}', 'urn:foo:bar', '', '}'], ['urn:<.>.<.>', 'urn:a.b', '<', '>'], ['urn:<.>.<.>', 'urn:aXb', '<', '>'], ['a{(}b', 'ab', '{', '}'], ['{{a}}', '{a}', '{', '}'], ['x', 'x', 'é', '}'], ['}', '}', '{', '}'], ['a|b{x}', 'a', '{', '}']),
  );
  return rows;
};

const netCases = (random, count) => {
  const cidrs = ['10.0.0.0/8', '10.1.2.3/8', '10.1.2.3', '10.1.2.3/33', '010.1.2.3/8', '10.1.2/8', '10.1.2.3/08', '10.1.2.3/', '/8', '', '::/0', '::1/128', '2001:db8::/32', '2001:db8::1', '::ffff:1.2.3.4/96', '::ffff:1.2.3.0/120', '::ffff:1.2.3.4', '1:2:3:4:5:6:7:8/64', '1:2:3:4:5:6:7::/64', '::1:2:3:4:5:6:7/64', '1::2::3/64', '12345::/16', 'fe80::1%eth0/64', '1:2:3:4:5:6:1.2.3.4/128', '0.0.0.0/0', '255.255.255.255/32', '192.168.1.0/24', '172.16.0.1', '224.0.0.1', ':: /0', '::/129', '1:2:3:4:5:6:7:8:9/64', ':1::/64', '::g/64', '+1.2.3.4/8', '1.2.3.4/+8'];
  const rows = [];
  for (const cidr of cidrs) {
    rows.push({ call: 'net.cidr_is_valid', args: [json(cidr)] }, { call: 'net.cidr_merge', args: [`[${json(cidr)}]`] });
    for (const other of cidrs.slice(0, 24).filter((_, index) => index % 2 === 0)) rows.push({ call: 'net.cidr_contains_matches', args: [json(cidr), json(other)] });
  }
  rows.push(...of('net.cidr_expand', ['192.168.1.254/30'], ['192.168.1.1/32'], ['255.255.255.250/29'], ['2001:db8::8/126'], ['::ffff:1.2.3.4/126'], ['x'], ['::/126'], ['1:0:0:2:0:0:0:3/128'], ['1:0:2:0:3:0:4:0/128'], ['0:0:0:1::/128']));
  rows.push(
    ...of('net.cidr_contains_matches', [['10.0.0.0/8', '11.0.0.0/8'], ['10.1.1.1', '11.2.0.0/16']], [raw('{"10.0.0.0/8", ["11.0.0.0/8", "x"]}'), { a: '10.1.1.1', b: ['11.1.1.1', 2] }], [[[]], '1.1.1.1'], [[1], '1.1.1.1'], [1, '1.1.1.1']),
    ...of('net.cidr_merge', [['192.0.2.0/25', '192.0.2.128/25']], [['10.0.0.0/8', '10.1.0.0/16']], [['10.0.0.0/32', '10.0.0.2/32']], [['10.0.0.1/32', '10.0.0.2/32', '10.0.0.3/32']], [raw('{"192.168.0.0/16", "192.167.255.255/32"}')], [['2001:db8::/33', '2001:db8:8000::/33']], [[]], [['10.0.0.0/8', 1]], ['10.0.0.0/8'], [['10.0.0.1', '10.0.0.2']], [['1.2.3.4', '::/0']], [['0.0.0.0/1', '128.0.0.0/1']], [['10.0.0.0/8', '10.0.0.0/8']], [['::/1', '8000::/1']]),
  );
  for (let index = 0; index < count; index += 1) {
    const base = random.int(2) === 0 ? '10.0.' : '2001:db8::';
    const list = Array.from({ length: 1 + random.int(6) }, () => (base === '10.0.' ? `10.0.${random.int(4)}.${random.int(256)}/${20 + random.int(13)}` : `2001:db8::${random.int(64).toString(16)}/${118 + random.int(11)}`));
    rows.push({ call: 'net.cidr_merge', args: [json(list)] });
  }
  return rows;
};

const textCases = () => [
  ...of('strings.any_prefix_match', ['abc', 'ab'], ['abc', ['x', 'ab']], [['x', 'abc'], raw('{"ab"}')], ['abc', []], [[], 'a'], ['', ''], [1, 'a'], ['a', [1]], ['a', ['a', 1]]),
  ...of('strings.any_suffix_match', ['abc', 'bc'], ['abc', ['x', 'bc']], [['x', 'abc'], raw('{"c"}')], ['abc', 'x'], ['é', 'é'], ['', ['']]),
  ...of('strings.count', ['cheese', 'e'], ['aaa', 'aa'], ['é😀', ''], ['', ''], ['', 'a'], ['a', 1]),
  ...of('strings.split_n', ['a,b,c', ',', 2], ['a,b,c', ',', 0], ['a,b,c', ',', -2], ['a,b,c', ',', -9], ['a,b,c', ',', 9], ['é😀a', '', 2], ['', ',', 1], ['', '', 1], ['abc', 'x', 1], ['a,b', ',', raw('1.5')]),
  ...of('indexof_n', ['sad sand', 'a'], ['aaaa', 'aa'], ['é😀é', 'é'], ['a', ''], ['', 'a'], ['abc', 'abcd']),
  ...of('glob.quote_meta', ['*.github.com'], ['a?b[c]{d,e}\\!-'], ['']),
  ...of('hex.encode', ['é\u0000'], ['']), ...of('hex.decode', ['c3a9'], ['C3A9'], ['c3a'], ['zz'], [''], ['00']),
  ...of('base64url.encode_no_pad', ['é?>'], [''], ['ab']),
  ...of('urlquery.encode', ['a b&c=d/é~*\'()!'], ['']), ...of('urlquery.decode', ['a+b%26%C3%A9'], ['%'], ['%zz'], ['%2'], ['']),
  ...of('urlquery.encode_object', [{ b: 'x y', a: ['1', '2'], c: [] }], [{ a: 1 }], [raw('{"a": {"z", "y"}}')], [{}], [{ a: [1] }], [{ é: '&' }]),
  ...of('urlquery.decode_object', ['a=1&b=2&a=3'], ['a'], ['&&a='], ['a=b=c'], ['a;b=1'], ['%zz=1'], ['%20=%20+'], ['']),
  ...of('crypto.md5', ['é'], [''], [1]), ...of('crypto.sha1', ['abc']), ...of('crypto.sha256', ['abc'], ['']), ...of('crypto.hmac.md5', ['m', 'k']), ...of('crypto.hmac.sha1', ['m', '']), ...of('crypto.hmac.sha256', ['', 'k']), ...of('crypto.hmac.sha512', ['m', 'é']), ...of('crypto.hmac.equal', ['a', 'a'], ['a', 'b'], ['a', 'ab'], ['', '']),
  ...of('uuid.parse', ['6ba7b810-9dad-11d1-80b4-00c04fd430c8'], ['000003e8-48b9-21ee-b200-325096b39f47'], ['000003e8-48b9-21ee-b203-325096b39f47'], ['{6ba7b810-9dad-11d1-80b4-00c04fd430c8}'], ['x6ba7b810-9dad-41d1-c0b4-00c04fd430c8x'], ['urn:uuid:6BA7B810-9DAD-51D1-e0B4-00C04FD430C8'], ['6ba7b8109dad71d100b400c04fd430c8'], ['6ba7b8109dad71d100b400c04fd430cg'], ['x'], [''], ['ffffffff-ffff-1fff-bfff-ffffffffffff'], ['00000000-0000-1000-8000-030000000000'], ['é6ba7b810-9dad-41d1-c0b4-00c04fd430c8'], ['00000000-0000-2000-8001-010000000000']),
  ...of('numbers.range_step', [0, 10, 3], [10, 0, 3], [1, 1, 5], [0, 10, 0], [0, 10, -1], [raw('0.5'), 3, 1], [raw('9007199254740993'), raw('9007199254740997'), 2], [raw('1e1'), 12, 1], [-3, 3, 2]),
  ...of('object.subset', [{ a: 1, b: { c: [1, 2, 3] } }, { b: { c: [2, 3] } }], [{ a: 1 }, { a: 2 }], [{ a: 1 }, {}], [[1, 2, 3], [2, 3]], [[1, 2, 1, 2, 3], [1, 2, 3]], [[1, 1, 2], [1, 2]], [raw('{1, 2, 3}'), raw('{2}')], [raw('{1, 2}'), raw('{4}')], [[1, 2, 3], raw('{3, 1}')], [[1, 1], raw('{1, 2}')], [[], raw('set()')], [[1], raw('set()')], [raw('{1}'), [1]], [raw('{"a": 1.0}'), { a: 1 }], [raw('{"a": {1, 2}}'), raw('{"a": {1}}')], [raw('{1: "x"}'), raw('{1.0: "x"}')], [raw('{[1]: "x"}'), raw('{[1]: "x"}')], [{ a: 1 }, raw('{"a": 1.0}')], [{ a: [{ b: 1, c: 2 }] }, { a: [{ b: 1 }] }]),
  ...of('graph.reachable_paths', [{ a: ['b', 'c'], b: ['d'], c: ['d'], d: [] }, ['a']], [{ a: ['b'], b: ['a'] }, ['a']], [{ a: ['x'] }, ['a', 'y']], [raw('{"a": {"b", "c"}, "b": set(), "c": ["a"]}'), raw('{"a"}')], [{ a: 1 }, ['a']], [{ a: [] }, ['a']], [{}, []], [{ a: ['a'] }, ['a']]),
  ...of('semver.compare', ['1.2.3', '1.2.4'], ['v1.2.3', '1.2.3'], ['1.0.0-alpha', '1.0.0'], ['1.0.0-alpha.1', '1.0.0-alpha.beta'], ['1.0.0-alpha', '1.0.0-alpha.1'], ['1.0.0+a', '1.0.0+b'], ['1.0', '1.0.0'], ['01.0.0', '1.0.0'], ['1.0.0-01', '1.0.0'], ['1.0.0-1.2', '1.0.0-1.10'], ['9223372036854775808.0.0', '1.0.0'], ['1.0.0-rc.9', '1.0.0-rc.10'], ['1.0.0-a', '1.0.0-B'], ['1.0.0-1', '1.0.0-a'], ['1.0.0-', '1.0.0'], ['1.0.0+', '1.0.0'], ['1.0.0-a+b-c', '1.0.0-a']),
  ...of('semver.is_valid', ['1.2.3'], ['v1.2.3'], ['vv1.2.3'], ['1.2'], ['1.2.3-a..b'], ['1.2.3-0a'], ['1.2.3-00'], ['1.2.-3'], [1], ['1.2.3+é'], ['']),
  ...['units.parse', 'units.parse_bytes'].flatMap((call) => of(call, ...['10', '10k', '10K', '10Ki', '10ki', '10KI', '10kB', '10KiB', '1.5M', '1.5m', '200m', '1000m', '1m', '-1.5Gi', '1e3', '1e3k', '1E', '1e', '1Ei', '1e+2', '1e-2M', '', 'k', '1 k', '1x', '"10"', '0.1Gi', '1.', '.5k', '.', '1e1234567', '1.5.5', '--1', '1-2', '123456789012345678901234567890', '0.1', '0.3E', '123456789.123456789Ei', '1/2', '0x10', '1_0', '1e5e', '10mi', '10Mi', '10é', '0.0000000000049', '0.00000000005', '7pb', '7PiB', '3tb', '2.5eib', '+5'].map((text) => [text]))),
  ...of('io.jwt.decode', ['eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4IiwibiI6MTIzNDU2Nzg5MDEyMzQ1Njc4OTB9.c2ln'], ['a.b'], ['a.b.c'], ['e30.e30.'], ['e30=.e30.'], ['e30.W10.'], ['eyJlbmMiOiJ4In0.e30.'], ['eyJjdHkiOiJKV1QifQ.ImV5SmhiR2NpT2lKSVV6STFOaUo5LmUzMC5jMmxuIg.c2ln'], ['eyJhIjoxLCJhIjoyfQ.e30.'], ['eyJhIjoiXHVkODAwIn0.e30.'], ['e30.eyJhIjoxLjB9.'], ['e30.e30.a'], ['e30.e30 .'], ['e30.ezF9.'], ['e30.eyJhIjp7ImIiOltdfX0x.']),
];

/** `scale` multiplies what is made up; 1 is what the stored answers hold. */
export const cases = (scale = 1, seed = 20_261_121) => {
  const random = seeded(seed);
  return [...sprintfCases(random, 200 * scale), ...timeCases(random, 30 * scale), ...regexCases(), ...netCases(random, 30 * scale), ...textCases()];
};
