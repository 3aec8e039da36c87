// SPDX-License-Identifier: MIT
// Pictures of 24 by 24, as paths of lines.

export const ICONS: Record<string, string> = {
	overview: "M4 13h6V4H4zM14 20h6v-9h-6zM14 7h6V4h-6zM4 20h6v-3H4z",
	live: "M3 12h4l3-8 4 16 3-8h4",
	history: "M3.5 12a8.5 8.5 0 1 0 2.6-6.1L3.5 8.4M3.5 3.5v5h5M12 7.5V12l3 2",
	programs: "M7 7h10v10H7zM10 3v4M14 3v4M10 17v4M14 17v4M3 10h4M3 14h4M17 10h4M17 14h4",
	rooms: "M4 5h16v11H9l-5 4zM8 9h8M8 12.5h5",
	docs: "M5 4h9l5 5v11H5zM14 4v5h5M8.5 13h7M8.5 16.5h7",
	pause: "M8 5v14M16 5v14",
	play: "M7 4.5v15l12-7.5z",
	clear: "M5 7h14M10 7V4h4v3M7 7l1 13h8l1-13",
	close: "M6 6l12 12M18 6L6 18",
	sun:
		"M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM12 2.5v2M12 19.5v2M2.5 12h2" +
		"M19.5 12h2M5.3 5.3l1.4 1.4M17.3 17.3l1.4 1.4M5.3 18.7l1.4-1.4" +
		"M17.3 6.7l1.4-1.4",
	moon: "M19.5 14.5A8 8 0 0 1 9.5 4.5a8 8 0 1 0 10 10z",
	auto: "M12 3.5a8.5 8.5 0 1 0 0 17zM12 3.5a8.5 8.5 0 0 1 0 17",
	help:
		"M9 9a3 3 0 1 1 4.5 2.6c-1 .6-1.5 1.2-1.5 2.4M12 17.5v.01" +
		"M12 3.5a8.5 8.5 0 1 0 0 17 8.5 8.5 0 0 0 0-17z",
	download: "M12 4v11M7.5 11l4.5 4.5 4.5-4.5M5 20h14",
	columns: "M4 5h16v14H4zM9.5 5v14M14.5 5v14",
	warning: "M12 4L2.8 19.5h18.4zM12 10v4.5M12 17v.01",
	include: "M12 5v14M5 12h14",
	exclude: "M5 12h14",
	clock: "M12 3.5a8.5 8.5 0 1 0 0 17 8.5 8.5 0 0 0 0-17zM12 7.5V12l3 2",
};
