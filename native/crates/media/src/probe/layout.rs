//! ffmpeg's names of channel layouts.

/// How many channels a layout has: `stereo`, `5.1(side)`, `8 channels (FL+FR+…)`.
pub(crate) fn channels_of_layout(layout: &str) -> Option<u32> {
    let name = layout.split(['(', ' ']).next()?;
    if layout[name.len()..].starts_with(" channel") {
        return name.parse().ok();
    }
    match name {
        "mono" => Some(1),
        "stereo" | "downmix" | "binaural" => Some(2),
        "quad" => Some(4),
        "hexagonal" => Some(6),
        "octagonal" | "cube" => Some(8),
        "hexadecagonal" => Some(16),
        // Ambisonics of order n.
        "ambisonic" => layout
            .split(' ')
            .nth(1)?
            .parse::<u32>()
            .ok()
            .map(|order| (order + 1).pow(2)),
        _ => {
            let groups: Option<Vec<u32>> =
                name.split('.').map(|group| group.parse().ok()).collect();
            groups
                .filter(|groups| groups.len() > 1)
                .map(|groups| groups.iter().sum())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layouts_have_their_channels() {
        for (layout, channels) in [
            ("mono", Some(1)),
            ("stereo", Some(2)),
            ("2.1", Some(3)),
            ("quad(side)", Some(4)),
            ("5.1", Some(6)),
            ("5.1(side)", Some(6)),
            ("7.1(wide)", Some(8)),
            ("7.1.4", Some(12)),
            ("22.2", Some(24)),
            ("8 channels (FL+FR)", Some(8)),
            ("10 channels", Some(10)),
            ("1 channels (FC)", Some(1)),
            ("ambisonic 1", Some(4)),
            ("fltp", None),
            ("", None),
        ] {
            assert_eq!(channels_of_layout(layout), channels, "{layout}");
        }
    }
}
