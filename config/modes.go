package config

// Modes counts the entries of tables by their mode.
func (c *Config) Modes() (enforced, observed, off int) {
	for i := range c.Tables {
		switch c.Tables[i].Mode {
		case "observe":
			observed++
		case "off":
			off++
		default:
			enforced++
		}
	}
	return enforced, observed, off
}
