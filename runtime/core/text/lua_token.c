#include "core/text/lua_token.h"

#include <string.h>

static bool is_digit(int c) { return c >= '0' && c <= '9'; }
static bool is_name(int c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || is_digit(c); }

static int peek(const cal_tokens *s, size_t ahead) { return s->at + ahead < s->size ? (unsigned char)s->text[s->at + ahead] : -1; }

static void step(cal_tokens *s) {
  if (s->text[s->at++] != '\n') return;
  s->line++;
  s->line_start = s->at;
}

cal_tokens cal_tokens_begin(const char *text, size_t size) {
  cal_tokens s = {.text = text, .size = size, .line = 1};
  if (size >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) s.at = s.line_start = 3;
  if (peek(&s, 0) == '#')
    while (s.at < s.size && peek(&s, 0) != '\n') s.at++;
  return s;
}

/* At "[": the number of '=' when a long bracket opens here, else -1. */
static int long_level(const cal_tokens *s) {
  int level = 0;
  while (peek(s, 1 + (size_t)level) == '=') level++;
  return peek(s, 1 + (size_t)level) == '[' ? level : -1;
}

/* Past the closing bracket of `level`; false: the text ends before it. */
static bool skip_long(cal_tokens *s, int level) {
  for (int i = 0; i < level + 2; i++) step(s);
  while (s->at < s->size) {
    if (peek(s, 0) == ']') {
      int n = 0;
      while (n < level && peek(s, 1 + (size_t)n) == '=') n++;
      if (n == level && peek(s, 1 + (size_t)n) == ']') {
        s->at += (size_t)level + 2;
        return true;
      }
    }
    step(s);
  }
  return false;
}

static bool skip_quoted(cal_tokens *s) {
  int quote = peek(s, 0);
  step(s);
  while (s->at < s->size) {
    int c = peek(s, 0);
    if (c == quote) return step(s), true;
    if (c == '\n') return false;
    if (c == '\\' && peek(s, 1) == 'z') {
      s->at += 2;
      while (s->at < s->size && strchr(" \t\r\n\f\v", peek(s, 0))) step(s);
      continue;
    }
    if (c == '\\' && s->at + 1 < s->size) s->at++;
    step(s);
  }
  return false;
}

static bool keyword(const char *word, size_t size) {
  static const char *const words[] = {"and", "break", "do",  "else", "elseif", "end",    "false",  "for",  "function", "goto",  "if",
                                      "in",  "local", "nil", "not",  "or",     "repeat", "return", "then", "true",     "until", "while"};
  for (size_t i = 0; i < sizeof words / sizeof *words; i++)
    if (strlen(words[i]) == size && memcmp(words[i], word, size) == 0) return true;
  return false;
}

static size_t symbol_size(const cal_tokens *s) {
  static const char *const symbols[] = {"...", "..", "==", "~=", "<=", ">=", "//", "::", "<<", ">>"};
  for (size_t i = 0; i < sizeof symbols / sizeof *symbols; i++) {
    size_t size = strlen(symbols[i]);
    if (s->size - s->at >= size && memcmp(s->text + s->at, symbols[i], size) == 0) return size;
  }
  return 1;
}

static cal_token_kind skip_number(cal_tokens *s) {
  bool hex = peek(s, 0) == '0' && (peek(s, 1) == 'x' || peek(s, 1) == 'X');
  const char *mark = hex ? "pP" : "eE";
  while (s->at < s->size) {
    int c = peek(s, 0);
    bool sign = (c == '+' || c == '-') && s->text[s->at - 1] && strchr(mark, s->text[s->at - 1]);
    if (!is_name(c) && c != '.' && !sign) break;
    s->at++;
  }
  return CAL_TOKEN_NUMBER;
}

bool cal_tokens_next(cal_tokens *s, cal_token *token) {
  for (;;) {
    int c = peek(s, 0);
    if (c < 0) return false;
    *token = (cal_token){.at = s->at, .line = s->line, .column = (int)(s->at - s->line_start) + 1};
    if (c == ' ' || (c >= '\t' && c <= '\r')) {
      step(s);
      continue;
    }
    if (c == '-' && peek(s, 1) == '-') {
      s->at += 2;
      int level = peek(s, 0) == '[' ? long_level(s) : -1;
      if (level < 0) {
        while (s->at < s->size && peek(s, 0) != '\n') s->at++;
        continue;
      }
      if (skip_long(s, level)) continue;
      token->kind = CAL_TOKEN_BAD;
    } else if (is_digit(c) || (c == '.' && is_digit(peek(s, 1)))) {
      token->kind = skip_number(s);
    } else if (is_name(c)) {
      while (is_name(peek(s, 0))) s->at++;
      token->kind = keyword(s->text + token->at, s->at - token->at) ? CAL_TOKEN_KEYWORD : CAL_TOKEN_NAME;
    } else if (c == '"' || c == '\'') {
      token->kind = skip_quoted(s) ? CAL_TOKEN_STRING : CAL_TOKEN_BAD;
    } else if (c == '[' && long_level(s) >= 0) {
      token->kind = skip_long(s, long_level(s)) ? CAL_TOKEN_STRING : CAL_TOKEN_BAD;
    } else {
      token->kind = c < 0x80 && c > ' ' && c != 0x7f && !strchr("!$?@`\\", c) ? CAL_TOKEN_SYMBOL : CAL_TOKEN_BAD;
      s->at += symbol_size(s);
    }
    token->size = s->at - token->at;
    return true;
  }
}

bool cal_token_is(const cal_tokens *s, const cal_token *token, const char *word) {
  return strlen(word) == token->size && memcmp(s->text + token->at, word, token->size) == 0;
}
