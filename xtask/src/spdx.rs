//! Licence expressions, as far as crates use them: `MIT OR (Apache-2.0 AND ISC)`.

/// Whether `expression` can be met with licences that `allowed` accepts.
///
/// `OR` needs one side, `AND` both, and binds tighter. `A WITH exception` counts as one licence of
/// that whole name; `/` is how old crates write `OR`.
///
/// # Errors
/// The expression cannot be read.
pub fn permits(expression: &str, allowed: &dyn Fn(&str) -> bool) -> Result<bool, String> {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let mut words = Words { left: spaced.split_whitespace().rev().collect(), allowed };
    let met = words.any()?;
    match words.left.last() {
        None => Ok(met),
        Some(word) => Err(format!("`{word}` does not belong in `{expression}`")),
    }
}

struct Words<'a> {
    /// The next word is the last.
    left: Vec<&'a str>,
    allowed: &'a dyn Fn(&str) -> bool,
}

impl Words<'_> {
    fn any(&mut self) -> Result<bool, String> {
        let mut met = self.all()?;
        while self.takes("OR") {
            met |= self.all()?;
        }
        Ok(met)
    }

    fn all(&mut self) -> Result<bool, String> {
        let mut met = self.one()?;
        while self.takes("AND") {
            met &= self.one()?;
        }
        Ok(met)
    }

    fn one(&mut self) -> Result<bool, String> {
        match self.left.pop() {
            Some("(") => {
                let met = self.any()?;
                if self.takes(")") { Ok(met) } else { Err("a parenthesis is not closed".into()) }
            }
            None | Some(")" | "OR" | "AND" | "WITH") => Err("a licence is missing".into()),
            Some(name) if self.takes("WITH") => {
                let exception = self.left.pop().ok_or("an exception is missing")?;
                Ok((self.allowed)(&format!("{name} WITH {exception}")))
            }
            Some(name) => Ok((self.allowed)(name)),
        }
    }

    fn takes(&mut self, word: &str) -> bool {
        self.left.pop_if(|next| *next == word).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::permits;

    #[test]
    fn expressions_mean_what_they_say() {
        let allowed = |name: &str| matches!(name, "MIT" | "ISC" | "A WITH x");
        for (expression, met) in [
            ("MIT", true),
            ("GPL-3.0", false),
            ("MIT OR GPL-3.0", true),
            ("MIT/GPL-3.0", true),
            ("MIT AND GPL-3.0", false),
            ("GPL-3.0 OR MIT AND ISC", true),
            ("(GPL-3.0 OR MIT) AND ISC", true),
            ("MIT AND ISC AND GPL-3.0 OR GPL-2.0", false),
            ("A WITH x AND MIT", true),
            ("A", false),
        ] {
            assert_eq!(permits(expression, &allowed), Ok(met), "{expression}");
        }
        for broken in ["", "MIT OR", "(MIT", "MIT)", "MIT ISC", "MIT WITH", "AND"] {
            assert!(permits(broken, &allowed).is_err(), "{broken}");
        }
    }
}
