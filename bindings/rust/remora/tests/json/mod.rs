// SPDX-License-Identifier: Apache-2.0
//! As much of JSON as the list of cases needs: reading, writing and comparing.

use std::fmt;

#[derive(Clone, Debug)]
pub enum Json {
    Null,
    Bool(bool),
    Number(f64),
    Text(String),
    List(Vec<Json>),
    Object(Vec<(String, Json)>), // in the order of the file
}
use Json::*;

impl Json {
    pub fn read(text: &str) -> Json {
        Reader { text: text.as_bytes(), at: 0 }.value()
    }
    pub fn get(&self, key: &str) -> &Json {
        match self {
            Object(all) => all.iter().find(|(k, _)| k == key).map_or(&Null, |(_, v)| v),
            _ => &Null,
        }
    }
    pub fn put(&mut self, key: &str, value: impl Into<Json>) {
        match self {
            Object(all) => all.push((key.into(), value.into())),
            _ => panic!("{} is no object", self),
        }
    }
    pub fn list(&self) -> &[Json] {
        match self {
            List(all) => all,
            _ => &[],
        }
    }
    pub fn text(&self) -> &str {
        match self {
            Text(t) => t,
            _ => "",
        }
    }
    pub fn number(&self) -> f64 {
        match self {
            Number(n) => *n,
            _ => 0.0,
        }
    }
}

impl From<&str> for Json {
    fn from(t: &str) -> Json {
        Text(t.into())
    }
}
impl From<String> for Json {
    fn from(t: String) -> Json {
        Text(t)
    }
}
impl From<f64> for Json {
    fn from(n: f64) -> Json {
        Number(n)
    }
}
impl From<u32> for Json {
    fn from(n: u32) -> Json {
        Number(f64::from(n))
    }
}
impl From<&[i32]> for Json {
    fn from(all: &[i32]) -> Json {
        List(all.iter().map(|&t| Number(f64::from(t))).collect())
    }
}

impl PartialEq for Json {
    fn eq(&self, other: &Json) -> bool {
        match (self, other) {
            (Null, Null) => true,
            (Bool(a), Bool(b)) => a == b,
            (Number(a), Number(b)) => a == b,
            (Text(a), Text(b)) => a == b,
            (List(a), List(b)) => a == b,
            (Object(a), Object(b)) => a.len() == b.len() && a.iter().all(|(k, v)| other.get(k) == v),
            _ => false,
        }
    }
}

fn quoted(f: &mut fmt::Formatter<'_>, t: &str) -> fmt::Result {
    write!(f, "\"")?;
    for c in t.chars() {
        match c {
            '"' | '\\' => write!(f, "\\{}", c)?,
            c if c < ' ' => write!(f, "\\u{:04x}", c as u32)?,
            c => write!(f, "{}", c)?,
        }
    }
    write!(f, "\"")
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Null => write!(f, "null"),
            Bool(b) => write!(f, "{}", b),
            Number(n) => write!(f, "{}", n),
            Text(t) => quoted(f, t),
            List(all) => {
                write!(f, "[")?;
                for (i, v) in all.iter().enumerate() {
                    write!(f, "{}{}", if i > 0 { "," } else { "" }, v)?;
                }
                write!(f, "]")
            }
            Object(all) => {
                write!(f, "{{")?;
                for (i, (k, v)) in all.iter().enumerate() {
                    write!(f, "{}", if i > 0 { "," } else { "" })?;
                    quoted(f, k)?;
                    write!(f, ":{}", v)?;
                }
                write!(f, "}}")
            }
        }
    }
}

struct Reader<'a> {
    text: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn peek(&mut self) -> u8 {
        while self.text[self.at].is_ascii_whitespace() {
            self.at += 1;
        }
        self.text[self.at]
    }
    fn eat(&mut self, c: u8) -> bool {
        let there = self.peek() == c;
        self.at += usize::from(there);
        there
    }
    fn word(&mut self, word: &str, value: Json) -> Json {
        assert!(self.text[self.at..].starts_with(word.as_bytes()), "byte {}", self.at);
        self.at += word.len();
        value
    }
    fn value(&mut self) -> Json {
        match self.peek() {
            b'{' => self.object(),
            b'[' => self.items(),
            b'"' => Text(self.string()),
            b't' => self.word("true", Bool(true)),
            b'f' => self.word("false", Bool(false)),
            b'n' => self.word("null", Null),
            _ => self.digits(),
        }
    }
    fn digits(&mut self) -> Json {
        let begin = self.at;
        while self.at < self.text.len() && b"+-.eE0123456789".contains(&self.text[self.at]) {
            self.at += 1;
        }
        let digits = std::str::from_utf8(&self.text[begin..self.at]).unwrap();
        Number(digits.parse().unwrap())
    }
    fn items(&mut self) -> Json {
        let mut all = Vec::new();
        self.at += 1;
        while !self.eat(b']') {
            assert!(all.is_empty() || self.eat(b','), "byte {}", self.at);
            all.push(self.value());
        }
        List(all)
    }
    fn object(&mut self) -> Json {
        let mut all = Vec::new();
        self.at += 1;
        while !self.eat(b'}') {
            assert!(all.is_empty() || self.eat(b','), "byte {}", self.at);
            self.peek();
            let key = self.string();
            assert!(self.eat(b':'), "byte {}", self.at);
            all.push((key, self.value()));
        }
        Object(all)
    }
    fn unit(&mut self) -> u16 {
        let hex = std::str::from_utf8(&self.text[self.at..self.at + 4]).unwrap();
        self.at += 4;
        u16::from_str_radix(hex, 16).unwrap()
    }
    fn escaped(&mut self, out: &mut Vec<u8>) {
        let c = self.text[self.at];
        self.at += 1;
        let plain = match c {
            b'n' => '\n',
            b't' => '\t',
            b'r' => '\r',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'u' => {
                let mut units = vec![self.unit()];
                if (0xd800..0xdc00).contains(&units[0]) {
                    self.at += 2; // \u
                    units.push(self.unit());
                }
                String::from_utf16(&units).unwrap().chars().next().unwrap()
            }
            c => c as char,
        };
        out.extend(plain.to_string().as_bytes());
    }
    fn string(&mut self) -> String {
        let mut out = Vec::new();
        assert_eq!(self.text[self.at], b'"', "byte {}", self.at);
        self.at += 1;
        loop {
            let c = self.text[self.at];
            self.at += 1;
            match c {
                b'"' => return String::from_utf8(out).unwrap(),
                b'\\' => self.escaped(&mut out),
                c => out.push(c),
            }
        }
    }
}
