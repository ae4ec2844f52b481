// SPDX-License-Identifier: Apache-2.0
//! The cases that all languages run, bindings/cases.json: they give the same tokens here.

mod json;
use json::Json;
use remora::*;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../..");

/// What a case asks for. A failure on the way ends it with status and message.
struct Case<'a> {
    model: &'a Model,
    input: &'a Json,
    got: Json,
}

fn names(list: &Json) -> Vec<&str> {
    list.list().iter().map(|n| n.text()).collect()
}

fn text_flags(list: &Json) -> TextFlags {
    names(list).iter().fold(TextFlags::PLAIN, |all, name| {
        all | match *name {
            "REMORA_TEXT_BOS" => TextFlags::BOS,
            "REMORA_TEXT_SPECIAL" => TextFlags::SPECIAL,
            other => panic!("no flag {}", other),
        }
    })
}

fn stage(s: &Json) -> Stage {
    let (value, count) = (s.get("value").number(), s.get("count").number() as i64);
    match s.get("kind").text() {
        "REMORA_STAGE_TEMPERATURE" => Stage::Temperature(value),
        "REMORA_STAGE_TOP_K" => Stage::TopK(count),
        "REMORA_STAGE_TOP_P" => Stage::TopP(value),
        "REMORA_STAGE_MIN_P" => Stage::MinP(value),
        "REMORA_STAGE_REPEAT" => Stage::Repeat(value, count),
        "REMORA_STAGE_FREQUENCY" => Stage::Frequency(value, count),
        "REMORA_STAGE_PRESENCE" => Stage::Presence(value, count),
        "REMORA_STAGE_BIAS" => Stage::Bias(count as Token, value),
        other => panic!("no stage {}", other),
    }
}

fn reason(g: Generation) -> &'static str {
    match g.reason {
        Reason::EndOfTurn => "REMORA_REASON_END_OF_TURN",
        Reason::Stop(_) => "REMORA_REASON_STOP",
        Reason::MaxTokens => "REMORA_REASON_MAX_TOKENS",
        Reason::Capacity => "REMORA_REASON_CAPACITY",
        _ => "REMORA_REASON_NONE",
    }
}

#[derive(Default)]
struct Parts {
    reasoning: String,
    content: String,
    calls: Vec<(String, String)>,
    finish: &'static str,
}

impl Parts {
    fn take(&mut self, events: Vec<Event>) {
        for e in events {
            match e {
                Event::Reasoning(t) => self.reasoning += &t,
                Event::Content(t) => self.content += &t,
                Event::Call { name, .. } => self.calls.push((name, String::new())),
                Event::Arguments { index, text } => self.calls[index as usize].1 += &text,
                Event::End(Finish::Stop) => self.finish = "REMORA_FINISH_STOP",
                Event::End(Finish::Calls) => self.finish = "REMORA_FINISH_CALLS",
                Event::End(Finish::Length) => self.finish = "REMORA_FINISH_LENGTH",
                _ => {}
            }
        }
    }
    fn json(self) -> Json {
        let mut out = Json::Object(vec![]);
        let calls = self.calls.into_iter().map(|(name, arguments)| {
            Json::Object(vec![("name".into(), name.into()), ("arguments".into(), arguments.into())])
        });
        out.put("reasoning", self.reasoning);
        out.put("content", self.content);
        out.put("calls", Json::List(calls.collect()));
        out.put("finish", self.finish);
        out
    }
}

impl Case<'_> {
    fn session(&self, t: &[Token]) -> Result<Session> {
        let capacity = self.input.get("capacity").number() as u32;
        let mut s = Session::with(self.model, &SessionOptions::new().capacity(capacity))?;
        s.append(t, Want::LAST)?;
        Ok(s)
    }
    fn prompt(&self) -> Result<Vec<Token>> {
        let flags = match self.input.get("prompt_flags") {
            Json::Null => TextFlags::BOS,
            list => text_flags(list),
        };
        self.model.tokenize(self.input.get("prompt").text(), flags)
    }
    fn sampler(&self, seed: u64) -> Result<Sampler> {
        let mut p = Sampler::new(self.model, seed)?;
        for s in self.input.get("stages").list() {
            p.add(stage(s))?;
        }
        let c = self.input.get("constraint");
        let (source, choices) = (c.get("source").text(), names(c.get("choices")));
        let grammar = match (c.get("kind").text(), names(c.get("flags")).len()) {
            ("", _) => return Ok(p),
            ("REMORA_CONSTRAINT_GBNF", 0) => Grammar::Gbnf(source),
            ("REMORA_CONSTRAINT_LARK", 0) => Grammar::Lark(source),
            ("REMORA_CONSTRAINT_REGEX", 0) => Grammar::Regex(source),
            ("REMORA_CONSTRAINT_CHOICE", 0) => Grammar::Choice(&choices),
            ("REMORA_CONSTRAINT_JSON_SCHEMA", 0) => Grammar::JsonSchema(source),
            ("REMORA_CONSTRAINT_JSON_SCHEMA", 1) => Grammar::LaxJsonSchema(source),
            (other, _) => panic!("no constraint {}", other),
        };
        p.constrain(Some(&Constraint::new(self.model, grammar)?))?;
        Ok(p)
    }
    fn seed(&self) -> u64 {
        self.input.get("seed").number() as u64
    }
    fn options(&self) -> GenOptions {
        let mut o = GenOptions::new().max_tokens(self.input.get("max_tokens").number() as u64);
        for s in names(self.input.get("stop")) {
            o = o.stop(s);
        }
        if names(self.input.get("flags")).contains(&"REMORA_GEN_KEEP_STOP") {
            o = o.keep_stop();
        }
        o
    }
    fn put_end(got: &mut Json, e: Option<Error>) {
        got.put("status", e.as_ref().map_or("END", |e| status_name(e.status())));
        if let Some(e) = e {
            got.put("message", e.message());
        }
    }
    fn put_made(got: &mut Json, tokens: &[Token], g: Generation) {
        got.put("tokens", tokens);
        got.put("reason", reason(g));
        if let Reason::Stop(i) = g.reason {
            got.put("stop", i);
        }
    }
    fn generate_all(s: &mut Session, p: &mut Sampler, o: GenOptions, got: &mut Json) {
        let (mut text, mut failed) = (String::new(), None);
        let mut stream = s.generate_text(p, o);
        for piece in &mut stream {
            match piece {
                Ok(t) => text += &t,
                Err(e) => failed = Some(e),
            }
        }
        Self::put_end(got, failed);
        Self::put_made(got, stream.tokens(), stream.info().unwrap());
        got.put("text", text);
    }

    fn open(&mut self) -> Result<()> {
        let mut o = ModelOptions::new();
        for flag in names(self.input.get("flags")) {
            o = match flag {
                "REMORA_MODEL_NO_WEIGHTS" => o.no_weights(),
                "REMORA_MODEL_ANYWAY" => o.anyway(),
                "REMORA_MODEL_NO_MMAP" => o.no_mmap(),
                other => panic!("no flag {}", other),
            };
        }
        let path = format!("{}/{}", ROOT, self.input.get("path").text());
        let info = Model::open_with(&Source::path(path), o, None)?.info()?;
        self.got.put("status", "OK");
        for (key, n) in [
            ("n_layers", info.n_layers),
            ("n_vocab", info.n_vocab),
            ("n_hidden", info.n_hidden),
            ("max_context", info.max_context),
            ("has_tokenizer", info.has_tokenizer),
        ] {
            self.got.put(key, n);
        }
        self.got.put("family", info.family);
        Ok(())
    }
    fn tokenize(&mut self) -> Result<()> {
        let flags = text_flags(self.input.get("flags"));
        let t = self.model.tokenize(self.input.get("text").text(), flags)?;
        let text = self.model.detokenize(&t)?;
        self.got.put("status", "OK");
        self.got.put("tokens", &t[..]);
        self.got.put("text", text);
        Ok(())
    }
    fn append(&mut self) -> Result<()> {
        let t: Vec<_> = self.input.get("tokens").list().iter().map(|t| t.number() as Token).collect();
        self.session(&t)?;
        self.got.put("status", "OK");
        Ok(())
    }
    fn rows(&mut self) -> Result<()> {
        let mut s = self.session(&self.prompt()?)?;
        s.eval()?;
        let top = s.top(0, self.input.get("n_best").number() as usize)?;
        let tokens: Vec<_> = top.iter().map(|t| t.token).collect();
        self.got.put("status", "OK");
        self.got.put("tokens", &tokens[..]);
        self.got.put("logits", Json::List(top.iter().map(|t| f64::from(t.logit).into()).collect()));
        Ok(())
    }
    fn generate(&mut self) -> Result<()> {
        let mut s = self.session(&self.prompt()?)?;
        let mut p = self.sampler(self.seed())?;
        Self::generate_all(&mut s, &mut p, self.options(), &mut self.got);
        Ok(())
    }
    fn cancel(&mut self) -> Result<()> {
        let mut s = self.session(&self.prompt()?)?;
        let mut p = self.sampler(self.seed())?;
        let word = Cancel::new();
        word.set();
        let stopped = s.generate_text(&mut p, self.options().cancel(&word)).next().unwrap().unwrap_err();
        self.got.put("cancelled", status_name(stopped.status()));
        Self::generate_all(&mut s, &mut p, self.options(), &mut self.got);
        Ok(())
    }
    fn fork(&mut self) -> Result<()> {
        let mut parent = self.session(&self.prompt()?)?;
        let seeds = self.input.get("seeds").list();
        let forks: Result<Vec<_>> = seeds.iter().map(|_| parent.fork()).collect();
        let mut all = Vec::new();
        for (mut s, seed) in forks?.into_iter().zip(seeds) {
            let mut one = Json::Object(vec![]);
            let mut p = self.sampler(seed.number() as u64)?;
            Self::generate_all(&mut s, &mut p, self.options(), &mut one);
            all.push(one);
        }
        self.got.put("status", "OK");
        self.got.put("forks", Json::List(all));
        Ok(())
    }
    fn fim(&mut self) -> Result<()> {
        let mut o = FimOptions::new().max_tokens(self.input.get("max_prompt").number() as u64);
        if names(self.input.get("flags")).contains(&"REMORA_FIM_HEAL") {
            o = o.heal();
        }
        let (prefix, suffix) = (self.input.get("prefix").text(), self.input.get("suffix").text());
        let prompt = self.model.fim(prefix, suffix, &o)?;
        self.got.put("prompt", &prompt.tokens[..]);
        self.got.put("heal", String::from_utf8(prompt.heal.clone()).unwrap());
        let mut s = self.session(&prompt.tokens)?;
        let mut p = self.sampler(self.seed())?;
        p.spell(&prompt.heal)?;
        let o = self.model.fim_stops().fold(self.options(), |o, stop| o.stop(stop));
        Self::generate_all(&mut s, &mut p, o, &mut self.got);
        Ok(())
    }
    fn chat(&mut self) -> Result<()> {
        let mut chat = match self.input.get("format") {
            Json::Null => Chat::new(self.model)?,
            name => Chat::with_format(self.model, name.text(), "")?,
        };
        chat.add_json(&self.input.get("request").to_string())?;
        let prompt = chat.prompt(&PromptOptions::new())?;
        self.got.put("prompt", &prompt.tokens[..]);
        let mut s = self.session(&prompt.tokens)?;
        let mut p = self.sampler(self.seed())?;
        let (mut made, mut failed) = (Vec::new(), None);
        for t in s.generate(&mut p, self.options()) {
            match t {
                Ok(t) => made.push(t),
                Err(e) => failed = Some(e),
            }
        }
        Self::put_end(&mut self.got, failed);
        let g = s.generation()?;
        Self::put_made(&mut self.got, &made, g);
        let mut parse = ChatParse::new(self.model, &chat, &prompt)?;
        let mut parts = Parts::default();
        parts.take(parse.push(&made)?);
        parts.take(parse.finish(g.reason != Reason::EndOfTurn)?);
        self.got.put("parts", parts.json());
        Ok(())
    }
    fn parse(&mut self) -> Result<()> {
        let calls = names(self.input.get("flags")).contains(&"REMORA_CHAT_PARSE_CALLS");
        let mut parse = ChatParse::with_format(self.model, Some(self.input.get("format").text()), calls)?;
        let mut parts = Parts::default();
        parts.take(parse.push_text(self.input.get("text").text())?);
        parts.take(parse.finish(false)?);
        self.got.put("status", "END");
        self.got.put("parts", parts.json());
        Ok(())
    }
}

fn run(model: &Model, one: &Json) -> Json {
    let mut case = Case { model, input: one.get("in"), got: Json::Object(vec![]) };
    let verb = one.get("do").text();
    let done = match verb {
        "open" => case.open(),
        "tokenize" => case.tokenize(),
        "append" => case.append(),
        "rows" => case.rows(),
        "generate" => case.generate(),
        "cancel" => case.cancel(),
        "fork" => case.fork(),
        "fim" => case.fim(),
        "chat" => case.chat(),
        "parse" => case.parse(),
        other => panic!("no verb {}", other),
    };
    if let Err(e) = done {
        case.got.put("status", status_name(e.status()));
        if verb != "open" {
            case.got.put("message", e.message()); // of "open" it has the path of the source folder
        }
    }
    case.got
}

#[test]
fn every_case_gives_what_the_list_says() {
    let list = std::fs::read_to_string(format!("{}/bindings/cases.json", ROOT)).unwrap();
    let model = Model::open(format!("{}/models/krill.remora", ROOT)).unwrap();
    let cases = Json::read(&list);
    let mut bad = Vec::new();
    for one in cases.list() {
        let got = run(&model, one);
        if &got != one.get("want") {
            bad.push(format!("{}: gives {}, wanted {}", one.get("name"), got, one.get("want")));
        }
    }
    assert!(cases.list().len() >= 40 && bad.is_empty(), "{}", bad.join("\n"));
}
