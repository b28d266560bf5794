//! Assembles the Lua verbs as `actors/kernel/scripts.py` does: `parts/*.lua` in name order, then the verb.

use std::{
    env,
    error::Error,
    fs,
    path::{Path, PathBuf},
};

const VERBS: [&str; 6] = ["take", "beat", "commit", "fail", "release", "spawn"];
/// Scripts of the whole installation: `sys/*.lua`, which stand alone.
const SYSTEM_VERBS: [&str; 2] = ["announce", "withdraw"];

fn main() -> Result<(), Box<dyn Error>> {
    let lua = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("../../../actors/kernel/lua");
    let target = PathBuf::from(env::var("OUT_DIR")?);
    println!("cargo::rerun-if-changed={}", lua.display());

    let mut parts: Vec<PathBuf> = fs::read_dir(lua.join("parts"))?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    parts.retain(|path| path.extension().is_some_and(|extension| extension == "lua"));
    parts.sort();
    let mut common = String::new();
    for part in parts {
        common += &fs::read_to_string(part)?;
    }
    for verb in VERBS {
        let text = fs::read_to_string(lua.join(verb).with_extension("lua"))?;
        fs::write(
            target.join(verb).with_extension("lua"),
            format!("{common}{text}"),
        )?;
    }
    for verb in SYSTEM_VERBS {
        let file = Path::new(verb).with_extension("lua");
        fs::copy(lua.join("sys").join(&file), target.join(&file))?;
    }
    Ok(())
}
