using System.Globalization;
using System.Text;

namespace McpGuard.Gateway.Upstreams;

/// <summary>Finds the <c>id</c> of a JSON-RPC message that goes by, byte by byte, without keeping it: for messages that are too large to be read.</summary>
internal sealed class MessageId
{
    private const int Longest = 32; // ours are short integers

    private readonly StringBuilder text = new(), number = new();
    private int depth;
    private bool inText, escaped, keyNext, isRequest;
    private string key = "";
    private long? id;

    /// <summary>The id, if the message is an answer to one of ours.</summary>
    public string? OfAnswer => isRequest ? null : id?.ToString(CultureInfo.InvariantCulture);

    public void Read(ReadOnlySpan<byte> bytes)
    {
        foreach (byte b in bytes) Read((char)b);
    }

    private void Read(char c)
    {
        if (inText)
        {
            if (escaped) escaped = false;
            else if (c == '\\') escaped = true;
            else if (c == '"')
            {
                inText = false;
                if (depth == 1 && keyNext) key = text.ToString();
                isRequest |= depth == 1 && keyNext && key == "method";
            }
            else if (depth == 1 && text.Length < Longest) text.Append(c);
            return;
        }
        switch (c)
        {
            case '"':
                inText = true;
                text.Clear();
                break;
            case '{' or '[':
                depth++;
                if (depth == 1) keyNext = true;
                break;
            case '}' or ']':
                EndValue();
                depth--;
                break;
            case ':' when depth == 1:
                keyNext = false;
                number.Clear();
                break;
            case ',' when depth == 1:
                EndValue();
                keyNext = true;
                break;
            default:
                if (depth == 1 && !keyNext && number.Length < Longest && !char.IsWhiteSpace(c)) number.Append(c);
                break;
        }
    }

    private void EndValue()
    {
        if (depth == 1 && key == "id" && long.TryParse(number.ToString(), NumberStyles.None, CultureInfo.InvariantCulture, out long value)) id = value;
    }
}
