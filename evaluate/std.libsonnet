// Functions of the standard library that are younger than libjsonnet 0.18. Names: scan.c.
std {
  pi:: 3.14159265358979311600,
  all(arr)::
    local check(i) =
      if i >= std.length(arr) then true
      else if !std.isBoolean(arr[i]) then error std.format('std.all: element %d is of type %s, want boolean', [i, std.type(arr[i])])
      else if arr[i] then check(i + 1) tailstrict
      else false;
    if std.isArray(arr) then check(0) else error 'std.all: want an array, got ' + std.type(arr),
  any(arr)::
    local check(i) =
      if i >= std.length(arr) then false
      else if !std.isBoolean(arr[i]) then error std.format('std.any: element %d is of type %s, want boolean', [i, std.type(arr[i])])
      else if arr[i] then true
      else check(i + 1) tailstrict;
    if std.isArray(arr) then check(0) else error 'std.any: want an array, got ' + std.type(arr),
  sum(arr):: std.foldl(function(a, b) a + b, arr, 0),
  avg(arr):: if std.length(arr) == 0 then error 'std.avg: the array is empty' else self.sum(arr) / std.length(arr),
  minArray(arr, keyF=function(x) x, onEmpty=error 'std.minArray: the array is empty')::
    if std.length(arr) == 0 then onEmpty
    else std.foldl(function(a, b) if keyF(b) < keyF(a) then b else a, arr, arr[0]),
  maxArray(arr, keyF=function(x) x, onEmpty=error 'std.maxArray: the array is empty')::
    if std.length(arr) == 0 then onEmpty
    else std.foldl(function(a, b) if keyF(b) > keyF(a) then b else a, arr, arr[0]),
  contains(arr, elem):: self.any([e == elem for e in arr]),
  remove(arr, elem)::
    local found = std.find(elem, arr);
    if std.length(found) == 0 then arr else self.removeAt(arr, found[0]),
  removeAt(arr, at):: [arr[i] for i in std.range(0, std.length(arr) - 1) if i != at],
  flattenDeepArray(value):: if std.isArray(value) then std.flatMap(function(v) self.flattenDeepArray(v), value) else [value],
  objectRemoveKey(obj, key):: { [k]: obj[k] for k in std.objectFields(obj) if k != key },
  objectKeysValues(o):: [{ key: k, value: o[k] } for k in std.objectFields(o)],
  objectKeysValuesAll(o):: [{ key: k, value: o[k] } for k in std.objectFieldsAll(o)],
  trim(str):: std.stripChars(str, ' \t\n\f\r\u0085\u00A0'),
  isEmpty(str):: std.length(str) == 0,
  isNull(v):: std.type(v) == 'null',
  equalsIgnoreCase(a, b):: std.asciiLower(a) == std.asciiLower(b),
  splitLimitR(str, c, maxsplits)::
    if maxsplits == -1 then std.split(str, c)
    else
      local parts = std.split(str, c), n = std.length(parts), head = std.max(n - maxsplits, 1);
      [std.join(c, parts[0:head])] + parts[head:n],
  escapeStringXML(v)::
    local m = { '<': '&lt;', '>': '&gt;', '&': '&amp;', '"': '&quot;', "'": '&apos;' };
    std.join('', [if std.objectHas(m, c) then m[c] else c for c in std.stringChars(std.toString(v))]),
  local digest(name) = function(str) if std.isString(str) then std.native('millrace.' + name)(str, std.length(str)) else error 'std.%s: want a string, got %s' % [name, std.type(str)],
  sha1:: digest('sha1'),
  sha256:: digest('sha256'),
  sha512:: digest('sha512'),
  sha3:: digest('sha3'),
  xor(a, b):: if std.isBoolean(a) && std.isBoolean(b) then a != b else error 'std.xor: want booleans',
  xnor(a, b):: if std.isBoolean(a) && std.isBoolean(b) then a == b else error 'std.xnor: want booleans',
  isEven(n):: self.round(n) % 2 == 0,
  isOdd(n):: self.round(n) % 2 != 0,
  isInteger(n):: self.round(n) == n,
  isDecimal(n):: self.round(n) != n,
  round(n):: std.floor(n + 0.5),
  log2(n):: std.log(n) / std.log(2),
  log10(n):: std.log(n) / std.log(10),
  deg2rad(n):: n * self.pi / 180,
  rad2deg(n):: n * 180 / self.pi,
  hypot(a, b):: std.sqrt(a * a + b * b),
  atan2(y, x)::
    if x > 0 then std.atan(y / x)
    else if x < 0 then std.atan(y / x) + (if y >= 0 then self.pi else -self.pi)
    else if y > 0 then self.pi / 2
    else if y < 0 then -self.pi / 2
    else 0,
}
