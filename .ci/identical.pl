#!/usr/bin/perl
# Blanks out, in place, everything in the Rust sources under the given folders that belongs to the feature
# `fault-inject`: items and statements under its `cfg`, and questions whose answer is a constant without
# it. Lines and columns stay. Used by `.ci/identical`.
use strict;
use warnings;
use File::Find;

my $items = 0;
find({ wanted => sub { blank_file($_) if /\.rs$/ }, no_chdir => 1 }, @ARGV);
die "nothing to blank out was found\n" if $items < 20;

# The text with comments and literals blanked, so that brackets in them do not count.
sub masked {
    my ($text) = @_;
    my $hide = sub { my $hidden = $_[0]; $hidden =~ s/[^\n]/ /g; $hidden };
    $text =~ s~(//[^\n]*|/\*.*?\*/|\bb?r(\#*)".*?"\2|"(?:\\.|[^"\\])*"|'(?:\\(?:x..|u\{[^}]*\}|.)|[^'\\\n])')~$hide->($1)~gse;
    return $text;
}

# Where the item, statement, field or arm that begins at an offset ends.
sub item_end {
    my ($code, $at) = @_;
    pos($code) = $at;
    $code =~ /\G\s+/gc;
    while ($code =~ /\G\#\[/gc) { pos($code) = close_of($code, pos($code) - 1); $code =~ /\G\s+/gc; }
    my $head = substr($code, pos($code));
    $head =~ s/^pub\s*(?:\([^)]*\))?\s*//;
    my $is_let = $head =~ /^(?:let|use|const\s+[A-Z_]+|static|type)\b/;
    my $is_item = $is_let || $head =~ /^(?:if|match|for|while|loop|fn|const|unsafe|impl|struct|enum|trait|mod|return|\{)/;
    while ($code =~ /\G[^;,(){}\[\]]*([;,(){}\[\]])/gc) {
        my ($sign, $next) = ($1, pos($code));
        return $next if $sign eq ';';
        return $next if $sign eq ',' && !$is_item;
        return $next - 1 if $sign =~ /[)}\]]/;
        next if $sign eq ',';
        my $close = close_of($code, $next - 1);
        pos($code) = $close;
        next if $sign ne '{' || $is_let;
        next if $code =~ /\G\s*else\b/gc;
        pos($code) = $close;
        return $close if $is_item || $code !~ /\G\s*(?:=>|,)/;
    }
    die "an item has no end\n";
}

# Behind the bracket that closes the one at an offset.
sub close_of {
    my ($code, $at) = @_;
    my $depth = 0;
    pos($code) = $at;
    while ($code =~ /\G[^(){}\[\]]*([(){}\[\]])/gc) {
        $depth += $1 =~ /[({\[]/ ? 1 : -1;
        return pos($code) if $depth == 0;
    }
    die "a bracket is not closed\n";
}

sub blank_file {
    my ($path) = @_;
    open my $in, '<', $path or die "$path: $!\n";
    my $text = do { local $/; <$in> };
    close $in;
    my $code = masked($text);
    my $blank = sub {
        my ($from, $to, $word) = @_;
        my $gap = substr($text, $from, $to - $from);
        $gap =~ s/[^\n]/ /g;
        substr($gap, 0, length $word) = $word if length $word;
        substr($text, $from, $to - $from) = $gap;
        substr($code, $from, $to - $from) = $gap;
        $items++;
    };
    # Only attributes count; the name of the feature is a literal, so it is looked for in the text.
    while ($text =~ /\#\[cfg\((not\()?feature = "fault-inject"\)?\)\]/g) {
        my ($from, $to) = ($-[0], $+[0]);
        next if substr($code, $from, 1) ne '#';
        # Without the feature there is a constant in the place of a question: it goes with its item, and
        # the question with it.
        my $before = substr($text, 0, $from);
        $from -= length $1 if $before =~ /((?:^[ \t]*(?:\/\/\/[^\n]*|\#\[[^\n]*\])\n)*[ \t]*)\z/m;
        $blank->($from, item_end($code, $to), '');
        pos($text) = $to;
    }
    while ($code =~ /\w+(?:\s*\.\s*\w+)*?\s*\.\s*is_blind\((?:[^()]|\([^()]*\))*\)/g) {
        my ($from, $to) = ($-[0], $+[0]);
        next if substr($code, 0, $from) =~ /fn\s+$/;
        $blank->($from, $to, 'false');
        pos($code) = $to;
    }
    # Calls on files ask whether they are to fail.
    my %asked = ('gc-hooks/src/record/files.rs' => [qr/\bstrike\([^()]*\)/, 'None::<i32>']);
    for my $file (grep { $path =~ /\Q$_\E$/ } keys %asked) {
        my ($question, $answer) = @{ $asked{$file} };
        while ($code =~ /$question/g) {
            my ($from, $to) = ($-[0], $+[0]);
            $blank->($from, $to, $answer);
            pos($code) = $to;
        }
    }
    # Asked in an expression, it is not there.
    while ($text =~ /cfg!\(feature = "fault-inject"\)/g) {
        my ($from, $to) = ($-[0], $+[0]);
        $blank->($from, $to, 'false');
        pos($text) = $to;
    }
    while ($text =~ /feature = "fault-inject"/g) {
        die "$path: a use of the feature that is not understood\n" if substr($code, $-[0], 1) eq 'f';
    }
    open my $out, '>', $path or die "$path: $!\n";
    print $out $text;
    close $out;
}
