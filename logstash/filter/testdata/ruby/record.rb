# Records what Ruby does with texts, for ruby_test.go. Run in this folder with the JRuby of Logstash 8.19:
#   TZ=UTC java -jar jruby-complete-9.4.14.0.jar record.rb
require 'csv'
require 'json'
require 'bigdecimal'
require 'psych'

RANDOM = Random.new(7)

def record(name)
  File.open("#{name}.jsonl", "w") { |f| yield ->(*line) { f.puts JSON.generate(line) } }
end

def draw(letters, most)
  RANDOM.rand(most).times.map { letters[RANDOM.rand(letters.size)] }.join.force_encoding("UTF-8")
end

def try
  yield
rescue StandardError
  "error"
end

record("csv") do |line|
  [[",", "\""], [";", "'"], ["||", "\""], ["\t", "\""], [" ", "\""], [",", "ä"]].each do |sep, quote|
    letters = ["a", "b", "ä", " ", "\n", "\r\n", "\r", sep, sep, quote, quote, sep[0]]
    300.times do
      s = draw(letters, 12)
      first = try { CSV.parse_line(s, :col_sep => sep, :quote_char => quote) }
      line.(sep, quote, s, first, try { CSV.new(s, :col_sep => sep, :quote_char => quote).to_a })
    end
  end
end

# The conversions of mutate to integer and float, for texts.
def prepared(s) = s.strip.delete(',').downcase

def hexadecimal(s)
  (s.start_with?('-') ? -1 : 1) * Float(s.sub(/^[+-]/, '')) if s.match?(/^[+-]?0x/i)
end

def integer(s)
  s = prepared(s)
  if (f = hexadecimal(s))
    return s.include?(".") ? Integer(f) : Integer(s)
  end
  s.include?("e") ? BigDecimal(s).to_i : s.to_i
end

def float(s)
  s = prepared(s)
  hexadecimal(s) || Float(s)
end

record("numbers") do |line|
  letters = %w(0 1 2 9 . . - + e E x 0x a _ , d) + [" "]
  odd = %w(0x1A -0x1a 0x1p3 0x1.8p3 1e3 1e-3 1_000 1e 1e+ 12.e3 .5 . 1e400 -1e400 1e-400 0x 0xzz twelve 1d3 1.5e3x 1__0
           0b11 0o17 010 1e1_0 +5 --5 +-5 1\ 2 e5 -e inf nan infinity)
  (odd + 2000.times.map { draw(letters, 7) }).uniq.each do |s|
    i, f, strict = try { integer(s).to_s[0, 40] }, try { float(s).to_s }, try { Integer(s).to_s }
    # JRuby lets a letter be that stands behind a number with underscores: not imitated.
    strict = "any" if s.include?("_") && strict != "error"
    i = f = "any" if s.include?("_") && s =~ /x/i
    line.(s, i, f, strict)
  end
end

record("letters") do |line|
  (0x80..0x1ffff).each do |c|
    next if c.between?(0xd800, 0xdfff)
    s = [c].pack("U")
    line.(s, s.upcase, s.downcase, s.capitalize) if s.upcase != s || s.downcase != s || s.capitalize != s
  end
end

record("split") do |line|
  [",", " ", "", "ab", "."].each do |sep|
    100.times do
      s = draw(["a", "b", ",", " ", "\t", "ä", "."], 8)
      line.(sep, s, s.split(sep), s.split(sep, -1), s.strip)
    end
  end
end

record("gsub") do |line|
  patterns = ['a', '(a)(b)?', '', 'x*', '\b', '^', '$', '(?<n>a)(b)?', '[ab]+', 'a|ab', 'ä', '.']
  replacements = ['-', '<\0>', '<\1>', '\2', '\k<n>', '\\\\', '[\`|\\\']', '\+', '\&\&', '\q\x', '\\', '']
  patterns.product(replacements).each do |pattern, with|
    4.times do
      s = draw(["a", "b", "x", "ä", "\n", " "], 7)
      line.(pattern, with, s, try { s.gsub(Regexp.new(pattern), with) })
    end
  end
end

record("yaml") do |line|
  %w(200 0x1f 010 0b11 1_000 1,000 1.5 1.5e3 1.5e+3 .5 5. 1:30 1:30:15 1:30.5 yes No on OFF true TRUE null Null ~ y n -5 +5
     1e3 -.inf .nan .inf +.inf 0 00 08 0o7 1__0 1. 0x 12abc 1.2.3 190:20:30 -1:30 = <<x).each do |s|
    v = Psych.unsafe_load("k: #{s}")["k"]
    line.(s, v.class.name, v.to_s)
  end
end

record("dates") do |line|
  ["2020-01-02", "2020-02-30", "Jan 5 2020", "January 5, 2020", "Mon, Jan 6, 2020", "Jan 5 20", "Jan 5 70", "Mon Jan 5 2020",
   "foo 5 2020", "2020-01-02T03:04:05Z", "2020-01-02 03:04", "2020-01-02 03:04:05.123456789", "2020-01-02T03:04:05+02:00",
   "2020-01-02T03:04:05.5-0530", "Jan 5 10:11:12 2020", "Mon Jan 5 10:11:12, 20", "2020-01-02T24:00", "2020-01-02T25:00",
   "2020-13-01", "x", "12", "Jan 32 2020", "2020-01-02T03:04:60"].each do |s|
    shown = ->(v) { v.respond_to?(:to_time) && !v.is_a?(String) ? v.to_time.utc.strftime("%Y-%m-%dT%H:%M:%S.%LZ") : "text" }
    line.(s, shown.(CSV::Converters[:date].call(s)), shown.(CSV::Converters[:date_time].call(s)))
  end
end

record("inspect") do |line|
  ((0x00..0x2ff).to_a + (0x1ff0..0x2070).to_a + [0xe000, 0xfdd0, 0xfeff, 0xfffd, 0xffff, 0x1f600, 0xe0001, 0x10ffff]).each do |c|
    s = ["x#", c].pack("a*U").force_encoding("UTF-8")
    line.(s, s.inspect)
  end
end
