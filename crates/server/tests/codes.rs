//! The table of codes is whole, and its page fresh.

use handfast_server::api::codes;

#[test]
fn every_code_of_participants_and_machines_is_in_the_table() {
    let crates = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let read = |file: &str| std::fs::read_to_string(crates.join(file)).unwrap();
    let mut named = 0;
    let mut known = |name: &str| {
        assert!(codes::find(name).is_some(), "{name} is not in the table of codes");
        named += 1;
    };
    // `const NAME: &str = "code";` in the adapters, `refusal("code", …)` in the shard machine.
    for file in ["participants/src/refusal.rs", "participants/src/http.rs"] {
        let text = read(file);
        let constants =
            text.lines().filter(|line| line.contains("const ") && line.contains("&str"));
        constants.filter_map(|line| line.split('"').nth(1)).for_each(&mut known);
    }
    for file in ["transaction.rs", "transaction/steps.rs", "transaction/peers.rs"] {
        // `Reason::own(branch, "code", …)` and `Refusal { code: "code".into(), … }`.
        let text = read(&format!("core/src/{file}"));
        let own = text.split("Reason::own(").skip(1).filter_map(|rest| rest.split('"').nth(1));
        let refused = text.split("code: \"").skip(1).filter_map(|rest| rest.split('"').next());
        own.chain(refused).for_each(&mut known);
    }
    let text = read("core/src/shard/work.rs");
    text.split("refusal(\"").skip(1).filter_map(|rest| rest.split('"').next()).for_each(&mut known);
    assert!(named > 20, "only {named} codes were found: has their form changed?");
}

#[test]
fn every_code_is_listed_once_and_explained() {
    let mut names: Vec<_> = codes::ALL.iter().map(|code| code.name).collect();
    names.sort_unstable();
    let count = names.len();
    names.dedup();
    assert_eq!(names.len(), count);
    assert!(codes::ALL.iter().all(|code| !code.cause.is_empty() && !code.cure.is_empty()));
    crate::assert_fresh("errors.md", &codes::markdown());
}
