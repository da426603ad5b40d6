// Command lost kills tombstone again and again while everything is done with it that can be done.
package main
