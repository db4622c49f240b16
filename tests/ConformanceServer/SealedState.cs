using System.Security.Cryptography;
using System.Text;

namespace ConformanceServer;

/// <summary>
/// What a tool remembers between rounds travels through the client, who could change it: it is sealed with a key of this process.
/// </summary>
internal sealed class SealedState
{
    private readonly byte[] key = RandomNumberGenerator.GetBytes(32);

    public string Seal(string state) => $"{Convert.ToBase64String(Encoding.UTF8.GetBytes(state))}.{Mac(state)}";

    /// <summary>The state, or null when it is not one that was sealed here.</summary>
    public string? Open(string? sealedState)
    {
        if (sealedState?.Split('.') is not [var text, var mac]) return null;
        byte[] bytes = new byte[text.Length];
        if (!Convert.TryFromBase64String(text, bytes, out int length)) return null;
        string state = Encoding.UTF8.GetString(bytes, 0, length);
        return CryptographicOperations.FixedTimeEquals(Encoding.ASCII.GetBytes(Mac(state)), Encoding.UTF8.GetBytes(mac)) ? state : null;
    }

    private string Mac(string state) => Convert.ToHexString(HMACSHA256.HashData(key, Encoding.UTF8.GetBytes(state)));
}
