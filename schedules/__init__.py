"""WHEN: calendars and sensors. What a run does is in the assets room."""
