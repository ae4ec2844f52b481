// SPDX-License-Identifier: Apache-2.0
//! Conversations: prompts from turns, and answers read back.

use crate::error::{call, filled, static_text, text_of};
use crate::options::{c_name, str_of, text};
use crate::{sys, Constraint, Model, Result, Token};

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // the names say it
pub enum Role {
    System = 1,
    User,
    Assistant,
    Tool,
}

/// A call of a tool.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Call {
    /// What its result refers to; may be empty.
    pub id: String,
    /// Of the tool.
    pub name: String,
    /// JSON.
    pub arguments: String,
}

/// A turn of a conversation; fields that a role does not use are empty.
#[derive(Clone, Debug)]
pub struct Turn {
    role: Role,
    text: String,
    name: String,
    reasoning: String,
    call_id: String,
    calls: Vec<Call>,
}

impl Turn {
    /// Who says what.
    pub fn new(role: Role, text: impl Into<String>) -> Self {
        let none = String::new;
        Self { role, text: text.into(), name: none(), reasoning: none(), call_id: none(), calls: Vec::new() }
    }
    /// Who speaks, by name.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }
    /// What preceded the answer.
    pub fn reasoning(mut self, reasoning: impl Into<String>) -> Self {
        self.reasoning = reasoning.into();
        self
    }
    /// The call that this is the result of.
    pub fn call_id(mut self, id: impl Into<String>) -> Self {
        self.call_id = id.into();
        self
    }
    /// A call of the answer.
    pub fn call(mut self, call: Call) -> Self {
        self.calls.push(call);
        self
    }
}

/// How a prompt is made; a builder.
#[derive(Clone, Default)]
pub struct PromptOptions {
    raw: sys::remora_prompt_opts,
    tool: String,
    schema: String,
}

impl PromptOptions {
    /// As the last request says, else the default.
    pub fn new() -> Self {
        Self::default()
    }
    /// The last turn is an answer that is to be gone on with.
    pub fn continue_answer(mut self) -> Self {
        self.raw.flags |= sys::REMORA_PROMPT_CONTINUE;
        self
    }
    /// End behind the last turn.
    pub fn no_request(mut self) -> Self {
        self.raw.flags |= sys::REMORA_PROMPT_NO_REQUEST;
        self
    }
    /// As the family's own template.
    pub fn as_template(mut self) -> Self {
        self.raw.flags |= sys::REMORA_PROMPT_AS_TEMPLATE;
        self
    }
    /// Reasoning before the answer.
    pub fn think(mut self, on: bool) -> Self {
        self.raw.think = if on { sys::REMORA_THINK_ON } else { sys::REMORA_THINK_OFF };
        self
    }
    /// Of thinking, 1 to 100.
    pub fn effort(mut self, effort: u32) -> Self {
        self.raw.effort = effort;
        self
    }
    /// `REMORA_CHOICE_*`, and the tool of NAMED.
    pub fn choice(mut self, choice: i32, tool: &str) -> Self {
        self.raw.choice = choice;
        self.tool = tool.into();
        self
    }
    /// A JSON Schema that the answer is to follow.
    pub fn schema(mut self, schema: &str) -> Self {
        self.schema = schema.into();
        self
    }
}

impl PromptOptions {
    /// Its texts are borrowed from self.
    fn for_call(&self) -> sys::remora_prompt_opts {
        let mut raw = self.raw;
        raw.tool = text(&self.tool);
        raw.schema = text(&self.schema);
        raw
    }
}

/// Options of [`Chat::bounds`]; a builder.
#[derive(Clone, Copy, Default)]
pub struct AnswerOptions {
    raw: sys::remora_answer_opts,
}

impl AnswerOptions {
    /// All defaults.
    pub fn new() -> Self {
        Self::default()
    }
    /// One call at most.
    pub fn one_call(mut self) -> Self {
        self.raw.flags |= sys::REMORA_ANSWER_ONE_CALL;
        self
    }
    /// Leave out what schemas ask for and cannot be enforced.
    pub fn lax(mut self) -> Self {
        self.raw.flags |= sys::REMORA_ANSWER_LAX;
        self
    }
    /// Bytes that it may take, and steps of work for a pick; 0: the default.
    pub fn limits(mut self, memory: u64, steps: u64) -> Self {
        self.raw.memory = memory;
        self.raw.steps = steps;
        self
    }
}

/// The tokens of a conversation, and where its answer begins.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Prompt {
    /// What to append or sync.
    pub tokens: Vec<Token>,
    /// `REMORA_PLACE_*`, for [`ChatParse::new`].
    pub begin: i32,
    /// Are tools declared, so that there may be calls?
    pub has_calls: bool,
    /// Of the prompt as text.
    pub text_bytes: u64,
}

/// A chat format of the host's own: what stands before and behind the text of each turn.
#[derive(Clone, Debug, Default)]
#[allow(missing_docs)] // as in remora_chat_format
pub struct ChatFormat {
    pub begin: String,
    pub system: (String, String),
    pub user: (String, String),
    pub assistant: (String, String),
    pub generation: String,
    pub system_text: String,
    pub think: (String, String),
    pub tools_of: Option<String>,
}

impl ChatFormat {
    fn raw(&self) -> sys::remora_chat_format {
        let mut raw = sys::remora_chat_format::new();
        raw.begin = text(&self.begin);
        raw.system_open = text(&self.system.0);
        raw.system_close = text(&self.system.1);
        raw.user_open = text(&self.user.0);
        raw.user_close = text(&self.user.1);
        raw.assistant_open = text(&self.assistant.0);
        raw.assistant_close = text(&self.assistant.1);
        raw.generation = text(&self.generation);
        raw.system_text = text(&self.system_text);
        raw.think_open = text(&self.think.0);
        raw.think_close = text(&self.think.1);
        raw
    }
}

/// The names of the built-in chat formats.
pub fn chat_formats() -> impl Iterator<Item = &'static str> {
    (0..).map_while(|i| {
        let mut name = std::ptr::null();
        call(|e| unsafe { sys::remora_chat_format_name(i, &mut name, e) }).ok()?;
        Some(static_text(name))
    })
}

/// A conversation: turns, tools, and the chat format of a model.
pub struct Chat(*mut sys::remora_chat);
// As a session: one thread at a time, and calls of &self only read.
unsafe impl Send for Chat {}
unsafe impl Sync for Chat {}

impl Chat {
    /// In the model's own chat format.
    pub fn new(m: &Model) -> Result<Self> {
        Self::create(m, &sys::remora_chat_opts::new())
    }
    /// In a built-in chat format; date: of today, for a family whose prompt has it, else empty.
    pub fn with_format(m: &Model, format: &str, date: &str) -> Result<Self> {
        let name = c_name(format)?;
        let mut raw = sys::remora_chat_opts::new();
        raw.format = name.as_ptr();
        raw.date = text(date);
        Self::create(m, &raw)
    }
    /// In a chat format of the host's own.
    pub fn described(m: &Model, format: &ChatFormat) -> Result<Self> {
        let tools_of = format.tools_of.as_deref().map(c_name).transpose()?;
        let mut described = format.raw();
        described.tools_of = tools_of.as_ref().map_or(std::ptr::null(), |t| t.as_ptr());
        let mut raw = sys::remora_chat_opts::new();
        raw.described = &described;
        Self::create(m, &raw)
    }
    fn create(m: &Model, raw: &sys::remora_chat_opts) -> Result<Self> {
        let mut out = std::ptr::null_mut();
        call(|e| unsafe { sys::remora_chat_create(m.0, raw, &mut out, e) })?;
        Ok(Self(out))
    }
    /// Add a turn.
    pub fn add(&mut self, turn: &Turn) -> Result<()> {
        let raw_call = |c: &Call| sys::remora_call {
            id: text(&c.id),
            name: text(&c.name),
            arguments: text(&c.arguments),
        };
        let calls: Vec<_> = turn.calls.iter().map(raw_call).collect();
        let mut raw = sys::remora_turn::new();
        raw.role = turn.role as i32;
        raw.text = text(&turn.text);
        raw.name = text(&turn.name);
        raw.reasoning = text(&turn.reasoning);
        raw.call_id = text(&turn.call_id);
        raw.calls = if calls.is_empty() { std::ptr::null() } else { calls.as_ptr() };
        raw.n_calls = calls.len() as u64;
        call(|e| unsafe { sys::remora_chat_add(self.0, &raw, e) }).map(drop)
    }
    /// Declare a tool: JSON in OpenAI's form.
    pub fn add_tool(&mut self, json: &str) -> Result<()> {
        call(|e| unsafe { sys::remora_chat_add_tool(self.0, json.as_ptr().cast(), json.len(), e) }).map(drop)
    }
    /// Add a request in the form of OpenAI's API.
    pub fn add_json(&mut self, json: &str) -> Result<()> {
        call(|e| unsafe { sys::remora_chat_add_json(self.0, json.as_ptr().cast(), json.len(), e) }).map(drop)
    }
    /// Keep the first turns.
    pub fn trim(&mut self, keep: u64) -> Result<()> {
        call(|e| unsafe { sys::remora_chat_trim(self.0, keep, e) }).map(drop)
    }
    /// What may answer the prompt of these options: calls of declared tools alone, with arguments
    /// that their schemas allow, and JSON where that was asked for.
    pub fn bounds(&self, prompt: &PromptOptions, o: &AnswerOptions) -> Result<Constraint> {
        let mut out = std::ptr::null_mut();
        let prompt = prompt.for_call();
        call(|e| unsafe { sys::remora_chat_constraint(self.0, &prompt, &o.raw, &mut out, e) })?;
        Ok(Constraint(out))
    }
    /// The prompt.
    pub fn prompt(&self, o: &PromptOptions) -> Result<Prompt> {
        let raw = o.for_call();
        let mut info = sys::remora_prompt_info::new();
        let tokens = filled(512, |p, cap, n, e| unsafe {
            sys::remora_chat_prompt(self.0, &raw, p, cap, n, &mut info, e)
        })?;
        let (has_calls, text_bytes) = (info.calls != 0, info.text_bytes);
        Ok(Prompt { tokens, begin: info.begin, has_calls, text_bytes })
    }
    /// Its numbers, and the name of its format.
    pub fn info(&self) -> Result<ChatInfo> {
        let mut raw = sys::remora_chat_info::new();
        call(|e| unsafe { sys::remora_chat_get_info(self.0, &mut raw, e) })?;
        Ok(ChatInfo {
            format: text_of(&raw.format),
            n_turns: raw.n_turns,
            n_tools: raw.n_tools,
            thinks: raw.thinks,
            has_calls: raw.has_calls != 0,
        })
    }
    /// The C handle, borrowed.
    pub fn as_ptr(&self) -> *mut sys::remora_chat {
        self.0
    }
}

impl Drop for Chat {
    fn drop(&mut self) {
        unsafe { sys::remora_chat_free(self.0) }
    }
}

/// What a conversation holds.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ChatInfo {
    /// The chat format's name.
    pub format: String,
    /// Turns.
    pub n_turns: u32,
    /// Tools.
    pub n_tools: u32,
    /// 0: the family does not; 1: off by default; 2: on by default; 3: always.
    pub thinks: u32,
    /// Has the family calls of tools?
    pub has_calls: bool,
}

/// Why an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finish {
    /// By itself.
    Stop,
    /// With calls.
    Calls,
    /// It was cut.
    Length,
}

/// A part of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A piece of reasoning.
    Reasoning(String),
    /// A piece of the answer's text.
    Content(String),
    /// A call begins.
    Call {
        /// From 0.
        index: u32,
        /// Of the tool.
        name: String,
        /// In families that have ids.
        id: String,
    },
    /// A piece of the arguments of a call.
    Arguments {
        /// Of which call.
        index: u32,
        /// JSON.
        text: String,
    },
    /// A call is complete.
    CallEnd(u32),
    /// Text behind the calls, or behind broken markup.
    Rest(String),
    /// The last one.
    End(Finish),
}

impl Event {
    fn of(raw: &sys::remora_chat_event) -> Self {
        // The header: valid until the next call on the handle, and copied here.
        let (text, index) = (unsafe { str_of(&raw.text) }.to_string(), raw.call);
        match raw.kind {
            sys::REMORA_PART_REASONING => Self::Reasoning(text),
            sys::REMORA_PART_CONTENT => Self::Content(text),
            sys::REMORA_PART_CALL => {
                Self::Call { index, name: text, id: unsafe { str_of(&raw.id) }.to_string() }
            }
            sys::REMORA_PART_ARGUMENTS => Self::Arguments { index, text },
            sys::REMORA_PART_CALL_END => Self::CallEnd(index),
            sys::REMORA_PART_END => Self::End(match raw.finish {
                sys::REMORA_FINISH_CALLS => Finish::Calls,
                sys::REMORA_FINISH_LENGTH => Finish::Length,
                _ => Finish::Stop,
            }),
            _ => Self::Rest(text),
        }
    }
}

/// How an answer is read; numbers of the header.
pub type ChatParseInfo = sys::remora_chat_parse_info;

/// Reads an answer while it is generated.
pub struct ChatParse(*mut sys::remora_chat_parse);
// As a session: one thread at a time, and calls of &self only read.
unsafe impl Send for ChatParse {}
unsafe impl Sync for ChatParse {}

impl ChatParse {
    /// Of an answer to a prompt of this conversation.
    pub fn new(m: &Model, chat: &Chat, prompt: &Prompt) -> Result<Self> {
        let mut raw = sys::remora_chat_parse_opts::new();
        raw.chat = chat.0;
        raw.begin = prompt.begin;
        raw.flags = if prompt.has_calls { sys::REMORA_CHAT_PARSE_CALLS } else { 0 };
        Self::create(m, &raw)
    }
    /// In a chat format by name, with calls or without.
    pub fn with_format(m: &Model, format: Option<&str>, calls: bool) -> Result<Self> {
        let name = format.map(c_name).transpose()?;
        let mut raw = sys::remora_chat_parse_opts::new();
        raw.format = name.as_ref().map_or(std::ptr::null(), |n| n.as_ptr());
        raw.flags = if calls { sys::REMORA_CHAT_PARSE_CALLS } else { 0 };
        Self::create(m, &raw)
    }
    fn create(m: &Model, raw: &sys::remora_chat_parse_opts) -> Result<Self> {
        let mut out = std::ptr::null_mut();
        call(|e| unsafe { sys::remora_chat_parse_create(m.0, raw, &mut out, e) })?;
        Ok(Self(out))
    }
    /// The events of some tokens.
    pub fn push(&mut self, mut t: &[Token]) -> Result<Vec<Event>> {
        let mut events = Vec::new();
        loop {
            let (mut used, mut raw) = (0, sys::remora_chat_event::new());
            let p = self.0;
            let status = call(|e| unsafe {
                sys::remora_chat_parse_next(p, t.as_ptr(), t.len(), &mut used, &mut raw, e)
            })?;
            t = &t[used..];
            if status != sys::REMORA_MORE {
                return Ok(events);
            }
            events.push(Event::of(&raw));
        }
    }
    /// The same for text whose tokens are not known.
    pub fn push_text(&mut self, text: &str) -> Result<Vec<Event>> {
        let (mut events, mut t) = (Vec::new(), text.as_bytes());
        loop {
            let (mut used, mut raw) = (0, sys::remora_chat_event::new());
            let p = self.0;
            let status = call(|e| unsafe {
                sys::remora_chat_parse_text(p, t.as_ptr().cast(), t.len(), &mut used, &mut raw, e)
            })?;
            t = &t[used..];
            if status != sys::REMORA_MORE {
                return Ok(events);
            }
            events.push(Event::of(&raw));
        }
    }
    /// The end of the answer, and whether it was cut. The last event is [`Event::End`].
    pub fn finish(&mut self, cut: bool) -> Result<Vec<Event>> {
        let mut events = Vec::new();
        loop {
            let mut raw = sys::remora_chat_event::new();
            let p = self.0;
            let status = call(|e| unsafe { sys::remora_chat_parse_end(p, i32::from(cut), &mut raw, e) })?;
            events.push(Event::of(&raw));
            if status == sys::REMORA_END {
                return Ok(events);
            }
        }
    }
    /// A second one that goes on from the same place.
    pub fn try_clone(&self) -> Result<Self> {
        let mut out = std::ptr::null_mut();
        call(|e| unsafe { sys::remora_chat_parse_clone(self.0, &mut out, e) })?;
        Ok(Self(out))
    }
    /// Go back to where a clone is.
    pub fn copy_from(&mut self, other: &ChatParse) -> Result<()> {
        call(|e| unsafe { sys::remora_chat_parse_copy(self.0, other.0, e) }).map(drop)
    }
    /// What was read so far.
    pub fn info(&self) -> Result<ChatParseInfo> {
        let mut raw = ChatParseInfo::new();
        call(|e| unsafe { sys::remora_chat_parse_get_info(self.0, &mut raw, e) })?;
        Ok(raw)
    }
}

impl Drop for ChatParse {
    fn drop(&mut self) {
        unsafe { sys::remora_chat_parse_free(self.0) }
    }
}
