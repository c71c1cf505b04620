//! Text to tokens, each with its place.

/// One token.
#[derive(Clone, Debug, PartialEq)]
pub enum Token {
    /// A keyword or a name; keywords are told by the parser, in any case.
    Name(String),
    /// `[[anything]]`: a name that could not stand bare.
    Quoted(String),
    /// A string constant, its escapes resolved.
    Text(String),
    /// A number constant.
    Number(f64),
    /// A sign: `= != <> < <= > >= + - * / % ( ) [ ] , .`
    Sign(&'static str),
}

/// A token and where it starts, in characters from 1.
#[derive(Clone, Debug, PartialEq)]
pub struct Placed {
    /// The token.
    pub token: Token,
    /// Its place.
    pub at: usize,
}

/// What cannot be read, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// In words.
    pub what: String,
    /// In characters from 1.
    pub at: usize,
}

// Longer ones first.
const SIGNS: [&str; 18] = [
    "!=", "<>", "<=", ">=", "=", "<", ">", "+", "-", "*", "/", "%", "(", ")", "[", "]", ",", ".",
];

/// Cuts `text` into tokens.
pub fn tokens(text: &str) -> Result<Vec<Placed>, Problem> {
    let mut lexer = Lexer { rest: text, at: 1 };
    let mut out = Vec::new();
    loop {
        lexer.skip_blanks();
        let at = lexer.at;
        match lexer.token()? {
            Some(token) => out.push(Placed { token, at }),
            None => return Ok(out),
        }
    }
}

struct Lexer<'a> {
    rest: &'a str,
    at: usize,
}

impl<'a> Lexer<'a> {
    fn skip_blanks(&mut self) {
        self.take_while(char::is_whitespace);
    }

    fn token(&mut self) -> Result<Option<Token>, Problem> {
        let Some(first) = self.rest.chars().next() else {
            return Ok(None);
        };
        let token = match first {
            '\'' | '"' => self.text(first)?,
            c if c.is_ascii_digit() => self.number()?,
            c if c.is_alphabetic() || c == '_' || c == '$' => {
                let name = self.take_while(|c| c.is_alphanumeric() || c == '_' || c == '$');
                Token::Name(name.to_owned())
            }
            '[' if self.rest.starts_with("[[") => self.quoted()?,
            other => self.sign(other)?,
        };
        Ok(Some(token))
    }

    fn sign(&mut self, first: char) -> Result<Token, Problem> {
        let sign = SIGNS.iter().find(|sign| self.rest.starts_with(**sign));
        let sign = sign.ok_or_else(|| self.problem(format!("unexpected {first:?}")))?;
        self.advance(sign.len());
        Ok(Token::Sign(sign))
    }

    fn quoted(&mut self) -> Result<Token, Problem> {
        let end = self.rest.find("]]");
        let end = end.ok_or_else(|| self.problem("[[ without ]]".to_owned()))?;
        let name = self.rest[2..end].to_owned();
        self.advance(end + 2);
        Ok(Token::Quoted(name))
    }

    /// Backslash escapes as in JSON; a doubled quote stands for itself too.
    fn text(&mut self, quote: char) -> Result<Token, Problem> {
        let unended = self.problem("a string without its end".to_owned());
        self.advance(quote.len_utf8());
        let mut text = String::new();
        loop {
            text.push_str(self.take_while(|c| c != quote && c != '\\'));
            if self.eat('\\') {
                text.push(self.escape()?);
            } else if self.eat(quote) {
                if !self.eat(quote) {
                    return Ok(Token::Text(text));
                }
                text.push(quote);
            } else {
                return Err(unended);
            }
        }
    }

    fn escape(&mut self) -> Result<char, Problem> {
        let bad = self.problem("an unknown escape in a string".to_owned());
        let escape = self.rest.chars().next().ok_or_else(|| bad.clone())?;
        self.advance(escape.len_utf8());
        match escape {
            '\'' | '"' | '\\' | '/' => Ok(escape),
            'n' => Ok('\n'),
            't' => Ok('\t'),
            'r' => Ok('\r'),
            'u' => {
                let hex = self.rest.get(..4).ok_or_else(|| bad.clone())?;
                let code = u32::from_str_radix(hex, 16).ok().and_then(char::from_u32);
                let code = code.ok_or(bad)?;
                self.advance(4);
                Ok(code)
            }
            _ => Err(bad),
        }
    }

    fn number(&mut self) -> Result<Token, Problem> {
        let bad = self.problem("a number that cannot be read".to_owned());
        let start = self.rest;
        let mut taken = self.take_while(|c| c.is_ascii_digit()).len();
        let fraction = self.rest.strip_prefix('.');
        if fraction.is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit())) {
            self.advance(1);
            taken += 1 + self.take_while(|c| c.is_ascii_digit()).len();
        }
        if self.rest.starts_with(['e', 'E']) {
            self.advance(1);
            taken += 1;
            if self.rest.starts_with(['+', '-']) {
                self.advance(1);
                taken += 1;
            }
            taken += self.take_while(|c| c.is_ascii_digit()).len();
        }
        let followed = |c: char| c.is_alphanumeric() || c == '_';
        match start[..taken].parse::<f64>() {
            Ok(number) if number.is_finite() && !self.rest.starts_with(followed) => {
                Ok(Token::Number(number))
            }
            _ => Err(bad),
        }
    }

    fn eat(&mut self, c: char) -> bool {
        let there = self.rest.starts_with(c);
        if there {
            self.advance(c.len_utf8());
        }
        there
    }

    fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|c| !wanted(c)).unwrap_or(self.rest.len());
        let taken = &self.rest[..end];
        self.advance(end);
        taken
    }

    fn advance(&mut self, bytes: usize) {
        let (taken, rest) = self.rest.split_at(bytes);
        self.at += taken.chars().count();
        self.rest = rest;
    }

    fn problem(&self, what: String) -> Problem {
        Problem { what, at: self.at }
    }
}
