using System.Buffers;
using System.Text;

namespace McpAuth.Protocol.Jose;

/// <summary>Comparison of <c>htu</c> with an address, by the normalizations of RFC 3986 §6.2.2 and §6.2.3 (RFC 9449 §4.3).</summary>
internal static class HttpTarget
{
    // RFC 3986 §2: all other characters stand percent-encoded. Refusing them first keeps System.Uri from repairing the text
    // (a backslash into a slash, white space away), which would make two addresses one.
    private static readonly SearchValues<char> UriCharacters = SearchValues.Create(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~:/?#[]@!$&'()*+,;=%");

    /// <summary>True when both name the same scheme, host, port and path; query and fragment of either are ignored.</summary>
    public static bool Same(string htu, Uri uri)
    {
        if (string.Equals(htu, uri.OriginalString, StringComparison.Ordinal))
            return true;
        return !htu.AsSpan().ContainsAnyExcept(UriCharacters)
            && Uri.TryCreate(htu, UriKind.Absolute, out var claimed)
            && (claimed.Scheme == Uri.UriSchemeHttps || claimed.Scheme == Uri.UriSchemeHttp)
            && claimed.UserInfo.Length == 0
            // Uri has put scheme and host in lower case, filled in the default port, made an empty path "/" and removed dot segments.
            && claimed.Scheme == uri.Scheme && claimed.IdnHost == uri.IdnHost && claimed.Port == uri.Port
            && Normalize(claimed.AbsolutePath) == Normalize(uri.AbsolutePath);
    }

    // RFC 3986 §6.2.2.1, §6.2.2.2: hexadecimal digits in upper case, unreserved characters not encoded.
    private static string Normalize(string path)
    {
        if (!path.Contains('%'))
            return path;
        var normal = new StringBuilder(path.Length);
        for (var i = 0; i < path.Length; i++)
        {
            if (path[i] != '%' || path.Length - i < 3 || !char.IsAsciiHexDigit(path[i + 1]) || !char.IsAsciiHexDigit(path[i + 2]))
            {
                normal.Append(path[i]);
                continue;
            }
            var value = (char)Convert.ToInt32(path.Substring(i + 1, 2), 16);
            if (char.IsAsciiLetterOrDigit(value) || value is '-' or '.' or '_' or '~')
                normal.Append(value);
            else
                normal.Append('%').Append(char.ToUpperInvariant(path[i + 1])).Append(char.ToUpperInvariant(path[i + 2]));
            i += 2;
        }
        return normal.ToString();
    }
}
