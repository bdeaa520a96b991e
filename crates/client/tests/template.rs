//! Names in texts.

use handfast_client::template::{Name, Piece, pieces};

fn name(text: &str) -> Piece<'_> {
    Piece::Name(Name::parse(text).unwrap())
}

#[test]
fn a_text_is_cut_at_its_names() {
    assert_eq!(pieces("").unwrap(), []);
    assert_eq!(pieces("plain { } }} text").unwrap(), [Piece::Text("plain { } }} text")]);
    assert_eq!(
        pieces("/a/{{book.room.0}}{{ input.x }}/b").unwrap(),
        [Piece::Text("/a/"), name("book.room.0"), name("input.x"), Piece::Text("/b")]
    );
    let Piece::Name(book) = name("book") else { unreachable!() };
    assert_eq!((book.root, book.path.len()), ("book", 0));
    assert_eq!(Name::parse("book.room.0").unwrap().to_string(), "book.room.0");
}

#[test]
fn what_is_no_name_is_refused() {
    for text in [
        "{{",
        "{{a",
        "{{}}",
        "{{ }}",
        "{{a..b}}",
        "{{.a}}",
        "{{a.}}",
        "{{a b}}",
        "{{{a}}}",
        "{{a{{b}}}}",
        "{{a\n.b}}",
    ] {
        assert!(pieces(text).is_err(), "{text}");
    }
}
