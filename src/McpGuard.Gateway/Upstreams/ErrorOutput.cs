using System.Text;

namespace McpGuard.Gateway.Upstreams;

/// <summary>
/// What an upstream writes to its standard error, in the log: so many lines a second, so many characters a line, and without the secrets that
/// it was given. What else it writes there is its own choice.
/// </summary>
internal sealed partial class ErrorOutput(IReadOnlyList<string> secrets, TimeProvider time, ILogger logger)
{
    private const int LongestLine = 1000, LinesASecond = 20;

    private long second;
    private int lines, left;

    /// <summary>Until its end.</summary>
    public async Task Read(Stream stream)
    {
        using var reader = new StreamReader(stream, Encoding.UTF8);
        char[] buffer = new char[4096];
        var line = new StringBuilder();
        bool cut = false;
        try
        {
            while (await reader.ReadAsync(buffer) is > 0 and var count)
            {
                foreach (char c in buffer.AsSpan(0, count))
                {
                    if (c == '\n')
                    {
                        Write(line, cut);
                        line.Clear();
                        cut = false;
                    }
                    else if (line.Length < 2 * LongestLine)
                    {
                        line.Append(char.IsControl(c) ? ' ' : c);
                    }
                    else
                    {
                        cut = true;
                    }
                }
            }
            Write(line, cut);
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException)
        {
            // The process is gone.
        }
    }

    private void Write(StringBuilder line, bool cut)
    {
        if (line.Length == 0) return;
        long now = time.GetUtcNow().ToUnixTimeSeconds();
        if (now != second)
        {
            if (left > 0) Log.LeftOut(logger, left);
            (second, lines, left) = (now, 0, 0);
        }
        if (++lines > LinesASecond)
        {
            left++;
            return;
        }
        // Before it is cut, so that no half of one is left; and where it came cut, without its end, which may be such a half.
        if (cut) line.Length -= Math.Min(line.Length, secrets.Select(s => s.Length).DefaultIfEmpty().Max());
        string text = secrets.Aggregate(line.ToString(), (t, secret) => t.Replace(secret, "***", StringComparison.Ordinal));
        Log.Said(logger, cut || text.Length > LongestLine ? string.Concat(text.AsSpan(0, Math.Min(text.Length, LongestLine)), "…") : text);
    }

    private static partial class Log
    {
        [LoggerMessage(Level = LogLevel.Information, Message = "stderr: {Line}")]
        public static partial void Said(ILogger logger, string line);

        [LoggerMessage(Level = LogLevel.Information, Message = "stderr: {Count} more lines in that second")]
        public static partial void LeftOut(ILogger logger, int count);
    }
}
