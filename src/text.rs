//! Text as it is compared and searched.

/// What text is sorted and searched by: lower case, white space collapsed. The database only compares bytes, so that
/// both databases order and find alike.
pub fn fold(text: &str) -> String {
    text.split_whitespace().map(str::to_lowercase).collect::<Vec<_>>().join(" ")
}

/// A `LIKE … ESCAPE '\'` pattern that finds `needle` anywhere in folded text.
pub fn contains(needle: &str) -> String {
    let mut pattern = String::from("%");
    for character in fold(needle).chars() {
        if matches!(character, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern.push('%');
    pattern
}

/// A key made from a name: lower-case ASCII letters and digits joined by hyphens, at most 50 of them.
/// Letters outside ASCII fall away; a name with none left gives `item`.
pub fn key_from(name: &str) -> String {
    let mut key = String::new();
    for character in name.chars().flat_map(char::to_lowercase) {
        match character {
            'a'..='z' | '0'..='9' => key.push(character),
            'å' | 'ä' | 'á' | 'à' | 'â' | 'ã' => key.push('a'),
            'ö' | 'ø' | 'ó' | 'ò' | 'ô' | 'õ' => key.push('o'),
            'é' | 'è' | 'ê' | 'ë' => key.push('e'),
            'í' | 'ì' | 'î' | 'ï' => key.push('i'),
            'ü' | 'ú' | 'ù' | 'û' => key.push('u'),
            'ç' => key.push('c'),
            'ñ' => key.push('n'),
            'æ' => key.push_str("ae"),
            'ß' => key.push_str("ss"),
            _ if !key.ends_with('-') && !key.is_empty() => key.push('-'),
            _ => {}
        }
        if key.len() >= 50 {
            break;
        }
    }
    let key = key.trim_end_matches('-');
    if key.is_empty() { "item".to_owned() } else { key.to_owned() }
}
