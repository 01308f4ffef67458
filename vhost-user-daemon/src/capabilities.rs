// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! `--print-capabilities`: what a management layer asks a back end before it starts one; and the
//! file by which it finds one.

use std::ffi::OsString;
use std::fmt;

/// What a back end says about itself, as QEMU's `docs/interop/vhost-user.json` has it.
#[derive(Clone, Copy, Debug)]
pub struct Capabilities {
    /// The device type: `block`, `net`, `fs`, ...
    pub device_type: &'static str,
    /// What the back end has of the options and abilities that are optional for its type.
    pub features: &'static [&'static str],
}

/// Whether a command line, program name first, asks for the capabilities.
///
/// It is read before anything else is parsed, since the answer must come whatever else is given,
/// be it unknown or wrong.
pub fn asked(command_line: impl IntoIterator<Item = OsString>) -> bool {
    command_line
        .into_iter()
        .skip(1)
        .any(|argument| argument == "--print-capabilities" || argument == "-c")
}

/// The JSON text, without a newline at its end.
impl fmt::Display for Capabilities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{{")?;
        writeln!(f, "  \"type\": {},", Quoted(self.device_type))?;
        write!(f, "  \"features\": [")?;
        for (index, feature) in self.features.iter().enumerate() {
            let separator = if index == 0 { "\n" } else { ",\n" };
            write!(f, "{separator}    {}", Quoted(feature))?;
        }
        let end = if self.features.is_empty() { "]" } else { "\n  ]" };
        write!(f, "{end}\n}}")
    }
}

impl Capabilities {
    /// The text of the file by which management layers find the back end, `NN-NAME.json` in
    /// `/usr/share/qemu/vhost-user`: a `VhostUserBackend` of QEMU's `docs/interop/vhost-user.json`.
    ///
    /// `description` is for people, `binary` the absolute path of the program. There are no features
    /// in it: that schema has none there, and has the program asked for them.
    pub fn discovery<'s>(&'s self, description: &'s str, binary: &'s str) -> Discovery<'s> {
        Discovery { capabilities: self, description, binary }
    }
}

/// See [`Capabilities::discovery`].
#[derive(Clone, Copy, Debug)]
pub struct Discovery<'s> {
    capabilities: &'s Capabilities,
    description: &'s str,
    binary: &'s str,
}

/// The JSON text, without a newline at its end.
impl fmt::Display for Discovery<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{{")?;
        writeln!(f, "  \"description\": {},", Quoted(self.description))?;
        writeln!(f, "  \"type\": {},", Quoted(self.capabilities.device_type))?;
        writeln!(f, "  \"binary\": {}", Quoted(self.binary))?;
        write!(f, "}}")
    }
}

/// A JSON string.
struct Quoted<'s>(&'s str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"")?;
        for character in self.0.chars() {
            match character {
                '"' | '\\' => write!(f, "\\{character}")?,
                '\0'..='\x1f' => write!(f, "\\u{:04x}", u32::from(character))?,
                _ => write!(f, "{character}")?,
            }
        }
        f.write_str("\"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked_by(arguments: &[&str]) -> bool {
        asked(arguments.iter().map(OsString::from))
    }

    #[test]
    fn text_with_features_is_the_documented_one() {
        let block = Capabilities { device_type: "block", features: &["read-only", "blk-file"] };
        let expected = r#"{
  "type": "block",
  "features": [
    "read-only",
    "blk-file"
  ]
}"#;
        assert_eq!(block.to_string(), expected);
    }

    #[test]
    fn text_without_features_has_an_empty_list() {
        let none = Capabilities { device_type: "net", features: &[] };
        assert_eq!(none.to_string(), "{\n  \"type\": \"net\",\n  \"features\": []\n}");
    }

    #[test]
    fn text_with_special_characters_stays_json() {
        let odd = Capabilities { device_type: "a\"b\\c\n", features: &[] };
        assert!(odd.to_string().contains(r#""a\"b\\c\u000a""#), "{odd}");
    }

    #[test]
    fn text_for_discovery_is_the_documented_one() {
        let block = Capabilities { device_type: "block", features: &["read-only"] };
        let expected = r#"{
  "description": "A \"disk\"",
  "type": "block",
  "binary": "/usr/bin/vhost-user-blk"
}"#;
        assert_eq!(block.discovery("A \"disk\"", "/usr/bin/vhost-user-blk").to_string(), expected);
    }

    #[test]
    fn asked_amid_unknown_options_is_seen() {
        assert!(asked_by(&["daemon", "--nonsense", "--print-capabilities", "--fd"]));
        assert!(asked_by(&["daemon", "-c"]));
    }

    #[test]
    fn asked_without_the_option_is_not_seen() {
        assert!(!asked_by(&["--print-capabilities"]), "the program's own name does not count");
        assert!(!asked_by(&["daemon", "--socket-path", "c"]));
    }
}
