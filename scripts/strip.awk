# Prints C source without its comments, and with blank space that means nothing made uniform: what
# is left decides the compiled bytes, whatever a comment says and wherever a line is broken. Needs
# no compiler, so that every machine prints the same.
#
#   awk -f scripts/strip.awk FILE...
#
# A preprocessor directive stays on a line of its own. A string is printed as it is.

# Appends text. A space is appended once.
function put(text) {
  if (text == " " && (line == "" || substr(line, length(line)) == " ")) return
  line = line text
}

function finish() {
  sub(/ $/, "", line)
  if (line != "") print line
  line = ""
}

# Appends code that has no string and no comment.
function put_code(text, parts, count, i) {
  count = split(text, parts, /[ \t]+/)
  for (i = 1; i <= count; i++) {
    if (i > 1) put(" ")
    if (parts[i] != "") put(parts[i])
  }
}

# The length of the string or character that the text starts with.
function string_length(text, quote, i, char) {
  quote = substr(text, 1, 1)
  for (i = 2; i <= length(text); i++) {
    char = substr(text, i, 1)
    if (char == "\\") i++
    else if (char == quote) return i
  }
  return length(text)
}

FNR == 1 { finish() }

{
  rest = $0
  if (!in_comment && !continues && rest ~ /^[ \t]*#/) {
    finish()
    in_directive = 1
  }
  continues = rest ~ /\\$/
  if (continues) rest = substr(rest, 1, length(rest) - 1)
  while (rest != "") {
    if (in_comment) {
      end = index(rest, "*/")
      if (end == 0) break
      in_comment = 0
      put(" ")
      rest = substr(rest, end + 2)
    } else if (match(rest, /"|'|\/\*|\/\//)) {
      put_code(substr(rest, 1, RSTART - 1))
      rest = substr(rest, RSTART)
      if (rest ~ /^\/\//) break
      if (rest ~ /^\/\*/) {
        in_comment = 1
        rest = substr(rest, 3)
      } else {
        size = string_length(rest)
        line = line substr(rest, 1, size)
        rest = substr(rest, size + 1)
      }
    } else {
      put_code(rest)
      break
    }
  }
  if (in_directive && !continues && !in_comment) {
    finish()
    in_directive = 0
  } else {
    put(" ")
  }
}

END { finish() }
