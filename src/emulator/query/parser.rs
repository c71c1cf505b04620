//! Tokens to a query.
//!
//! Chains (`a AND b AND …`, `1 + 2 + …`) are lists, not trees, and nesting is
//! counted, so that neither reading nor running can go deep.

use super::lexer::{Placed, Problem, Token, tokens};
use serde_json::Value;

/// How deep parentheses, `NOT` and signs may nest.
const DEPTH: usize = 64;

/// A query that was understood.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    /// What to show.
    pub select: Select,
    /// At most so many rows.
    pub top: Option<usize>,
    /// Of which devices.
    pub condition: Option<Expr>,
}

/// What to show of a row.
#[derive(Clone, Debug, PartialEq)]
pub enum Select {
    /// `*`
    Whole,
    /// Paths under names.
    Columns(Vec<Column>),
}

/// One projected column.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    /// Where the value is.
    pub path: Vec<String>,
    /// Its alias, else the last step of the path.
    pub name: String,
}

/// An expression or condition; they differ only in what they give.
#[derive(Clone, Debug, PartialEq)]
pub enum Expr {
    /// A constant.
    Constant(Value),
    /// A property.
    Path(Vec<String>),
    /// `IS_DEFINED(path)`
    Defined(Vec<String>),
    /// All of them.
    And(Vec<Expr>),
    /// Any of them.
    Or(Vec<Expr>),
    /// Not so.
    Not(Box<Expr>),
    /// A comparison.
    Compare(Box<Expr>, &'static str, Box<Expr>),
    /// `IN [..]`, or `NIN [..]` when the flag is set.
    In(Box<Expr>, bool, Vec<Value>),
    /// `first ± next ± …`, from left to right.
    Chain(Box<Expr>, Vec<(&'static str, Expr)>),
    /// `-x`
    Negative(Box<Expr>),
}

/// First-level names in their canonical spelling; matched in any case.
const ROOTS: [&str; 17] = [
    "deviceId",
    "moduleId",
    "etag",
    "deviceEtag",
    "status",
    "statusReason",
    "statusUpdateTime",
    "connectionState",
    "lastActivityTime",
    "cloudToDeviceMessageCount",
    "authenticationType",
    "x509Thumbprint",
    "modelId",
    "version",
    "tags",
    "properties",
    "configurations",
];

/// Reads a query.
pub fn parse(text: &str) -> Result<Query, Problem> {
    Parser::new(text)?.whole()
}

/// How often the parser looks at a token while it reads `text`.
#[cfg(test)]
pub fn looks(text: &str) -> usize {
    let Ok(mut parser) = Parser::new(text) else {
        return 0;
    };
    // What it makes of the text is another test's question.
    let _ = parser.whole();
    parser.looks.get()
}

struct Parser {
    tokens: Vec<Placed>,
    next: usize,
    end: usize,
    depth: usize,
    #[cfg(test)]
    looks: std::cell::Cell<usize>,
}

impl Parser {
    fn new(text: &str) -> Result<Self, Problem> {
        Ok(Self {
            tokens: tokens(text)?,
            next: 0,
            end: text.chars().count() + 1,
            depth: 0,
            #[cfg(test)]
            looks: std::cell::Cell::new(0),
        })
    }

    /// The whole text, to its end.
    fn whole(&mut self) -> Result<Query, Problem> {
        let query = self.query()?;
        match self.peek() {
            None => Ok(query),
            Some(Token::Name(name)) if name.eq_ignore_ascii_case("group") => {
                Err(self.problem("GROUP BY, which this hub does not do"))
            }
            Some(_) => Err(self.problem("something after the end of the query")),
        }
    }

    fn query(&mut self) -> Result<Query, Problem> {
        self.expect_word("select")?;
        let top = match self.eat_word("top") {
            true => Some(self.count()?),
            false => None,
        };
        let select = match self.eat_sign("*") {
            true => Select::Whole,
            false => self.columns()?,
        };
        self.expect_word("from")?;
        self.source()?;
        let condition = match self.eat_word("where") {
            true => Some(self.expression()?),
            false => None,
        };
        Ok(Query {
            select,
            top,
            condition,
        })
    }

    fn source(&mut self) -> Result<(), Problem> {
        self.expect_word("devices")?;
        if self.eat_sign(".") {
            self.next -= 1;
            return Err(
                self.problem("a collection other than devices, which this hub does not have")
            );
        }
        Ok(())
    }

    fn count(&mut self) -> Result<usize, Problem> {
        match self.peek() {
            Some(Token::Number(n)) if *n >= 1.0 && n.fract() == 0.0 && *n < 1e9 => {
                // Checked above: a whole number within range.
                let count = format!("{n:.0}").parse().unwrap_or(usize::MAX);
                self.next += 1;
                Ok(count)
            }
            _ => Err(self.problem("TOP without a whole number above 0")),
        }
    }

    fn columns(&mut self) -> Result<Select, Problem> {
        let mut columns = Vec::new();
        loop {
            let path = self.path()?;
            let alias = match self.eat_word("as") {
                true => Some(self.name()?),
                false => None,
            };
            let last = path.last().cloned().unwrap_or_default();
            columns.push(Column {
                path,
                name: alias.unwrap_or(last),
            });
            if !self.eat_sign(",") {
                return Ok(Select::Columns(columns));
            }
        }
    }

    fn path(&mut self) -> Result<Vec<String>, Problem> {
        let mut path = vec![self.name()?];
        if self.peek() == Some(&Token::Sign("(")) {
            let what = format!("the function {}, which this hub does not do", path[0]);
            self.next -= 1;
            return Err(self.problem(&what));
        }
        while self.eat_sign(".") {
            path.push(self.name()?);
        }
        if path.len() > 1 && path[0].eq_ignore_ascii_case("devices") {
            path.remove(0);
        }
        canonical(&mut path);
        Ok(path)
    }

    fn expression(&mut self) -> Result<Expr, Problem> {
        self.deeper(|p| p.list("or", Self::all, Expr::Or))
    }

    fn all(&mut self) -> Result<Expr, Problem> {
        self.list("and", Self::not, Expr::And)
    }

    fn list(
        &mut self,
        word: &str,
        item: fn(&mut Self) -> Result<Expr, Problem>,
        node: fn(Vec<Expr>) -> Expr,
    ) -> Result<Expr, Problem> {
        let first = item(self)?;
        let mut items = vec![first];
        while self.eat_word(word) {
            items.push(item(self)?);
        }
        Ok(match items.len() {
            1 => items.remove(0),
            _ => node(items),
        })
    }

    fn not(&mut self) -> Result<Expr, Problem> {
        if self.eat_word("not") {
            return self.deeper(|p| Ok(Expr::Not(Box::new(p.not()?))));
        }
        self.comparison()
    }

    fn comparison(&mut self) -> Result<Expr, Problem> {
        let left = self.sum()?;
        for sign in ["=", "!=", "<>", "<", "<=", ">", ">="] {
            if self.eat_sign(sign) {
                let right = self.sum()?;
                return Ok(Expr::Compare(Box::new(left), sign, Box::new(right)));
            }
        }
        for (word, negated) in [("in", false), ("nin", true)] {
            if self.eat_word(word) {
                return Ok(Expr::In(Box::new(left), negated, self.constants()?));
            }
        }
        Ok(left)
    }

    fn constants(&mut self) -> Result<Vec<Value>, Problem> {
        self.expect_sign("[")?;
        let mut constants = Vec::new();
        loop {
            let negative = self.eat_sign("-");
            match (self.constant(), negative) {
                (Some(Value::Number(n)), true) => {
                    constants.push((-n.as_f64().unwrap_or(0.0)).into());
                }
                (Some(constant), false) => constants.push(constant),
                _ => return Err(self.problem("a list that holds something else than constants")),
            }
            if !self.eat_sign(",") {
                self.expect_sign("]")?;
                return Ok(constants);
            }
        }
    }

    fn sum(&mut self) -> Result<Expr, Problem> {
        self.chain(&["+", "-"], Self::product)
    }

    fn product(&mut self) -> Result<Expr, Problem> {
        self.chain(&["*", "/", "%"], Self::single)
    }

    fn chain(
        &mut self,
        signs: &[&'static str],
        item: fn(&mut Self) -> Result<Expr, Problem>,
    ) -> Result<Expr, Problem> {
        let first = item(self)?;
        let mut rest = Vec::new();
        while let Some(sign) = signs.iter().find(|sign| self.eat_sign(sign)) {
            rest.push((*sign, item(self)?));
        }
        Ok(match rest.is_empty() {
            true => first,
            false => Expr::Chain(Box::new(first), rest),
        })
    }

    fn single(&mut self) -> Result<Expr, Problem> {
        if self.eat_sign("-") {
            return self.deeper(|p| Ok(Expr::Negative(Box::new(p.single()?))));
        }
        if self.eat_sign("(") {
            let inner = self.expression()?;
            self.expect_sign(")")?;
            return Ok(inner);
        }
        if let Some(constant) = self.constant() {
            return Ok(Expr::Constant(constant));
        }
        if self.peek_word("is_defined") {
            self.next += 1;
            self.expect_sign("(")?;
            let path = self.path()?;
            self.expect_sign(")")?;
            return Ok(Expr::Defined(path));
        }
        self.path().map(Expr::Path)
    }

    fn constant(&mut self) -> Option<Value> {
        let constant = match self.peek()? {
            Token::Text(text) => Value::from(text.as_str()),
            Token::Number(number) => Value::from(*number),
            Token::Name(name) if !self.is_path_ahead() => {
                match name.to_ascii_lowercase().as_str() {
                    "true" => Value::Bool(true),
                    "false" => Value::Bool(false),
                    "null" => Value::Null,
                    _ => return None,
                }
            }
            _ => return None,
        };
        self.next += 1;
        Some(constant)
    }

    fn is_path_ahead(&self) -> bool {
        let after = self.tokens.get(self.next + 1).map(|placed| &placed.token);
        after == Some(&Token::Sign("."))
    }

    /// A step of a path or an alias. After a dot any word is a name.
    fn name(&mut self) -> Result<String, Problem> {
        match self.peek() {
            Some(Token::Name(name) | Token::Quoted(name)) => {
                let name = name.clone();
                self.next += 1;
                Ok(name)
            }
            _ => Err(self.problem("a name was expected")),
        }
    }

    fn deeper<T>(
        &mut self,
        inner: impl FnOnce(&mut Self) -> Result<T, Problem>,
    ) -> Result<T, Problem> {
        if self.depth == DEPTH {
            return Err(self.problem("nested too deeply"));
        }
        self.depth += 1;
        let result = inner(self);
        self.depth -= 1;
        result
    }

    fn peek(&self) -> Option<&Token> {
        #[cfg(test)]
        self.looks.set(self.looks.get() + 1);
        self.tokens.get(self.next).map(|placed| &placed.token)
    }

    fn peek_word(&self, word: &str) -> bool {
        matches!(self.peek(), Some(Token::Name(name)) if name.eq_ignore_ascii_case(word))
    }

    fn eat_word(&mut self, word: &str) -> bool {
        let there = self.peek_word(word);
        self.next += usize::from(there);
        there
    }

    fn eat_sign(&mut self, sign: &str) -> bool {
        let there = matches!(self.peek(), Some(Token::Sign(found)) if *found == sign);
        self.next += usize::from(there);
        there
    }

    fn expect_word(&mut self, word: &str) -> Result<(), Problem> {
        match self.eat_word(word) {
            true => Ok(()),
            false => Err(self.problem(&format!("{} was expected", word.to_uppercase()))),
        }
    }

    fn expect_sign(&mut self, sign: &str) -> Result<(), Problem> {
        match self.eat_sign(sign) {
            true => Ok(()),
            false => Err(self.problem(&format!("{sign} was expected"))),
        }
    }

    fn problem(&self, what: &str) -> Problem {
        Problem {
            what: what.to_owned(),
            at: self
                .tokens
                .get(self.next)
                .map_or(self.end, |placed| placed.at),
        }
    }
}

fn canonical(path: &mut [String]) {
    let Some((root, rest)) = path.split_first_mut() else {
        return;
    };
    let known = ROOTS.iter().find(|known| known.eq_ignore_ascii_case(root));
    if let Some(known) = known {
        (*known).clone_into(root);
    } else if root.eq_ignore_ascii_case("capabilities") {
        "capabilities".clone_into(root);
    }
    if root == "properties"
        && let Some(half) = rest.first_mut()
    {
        half.make_ascii_lowercase();
    }
}
