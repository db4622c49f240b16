using System.Numerics;

namespace McpAuth.Protocol.Jose;

/// <summary>What an RSA public key must satisfy before it may verify anything (RFC 7518 §3.3, §6.3.1).</summary>
internal static class RsaKeyChecks
{
    // Primes under which a modulus made by the flawed generator of CVE-2017-15361 (ROCA) always lies in the subgroup of 65537,
    // and a sound one does with a chance of about 2⁻²⁷.
    private static readonly int[] RocaPrimes = [11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157];

    /// <summary>Null, or why the key is refused.</summary>
    public static string? Refuses(byte[] modulus, byte[] exponent)
    {
        // RFC 7518 §2: a Base64urlUInt has no leading zero octets, so that a key has one thumbprint.
        if (modulus.Length == 0 || exponent.Length == 0 || modulus[0] == 0 || exponent[0] == 0)
            return "The RSA key's numbers are not minimal.";
        var n = new BigInteger(modulus, isUnsigned: true, isBigEndian: true);
        // RFC 7518 §3.3: 2048 bits or more. The upper bounds keep one verification cheap.
        if (n.GetBitLength() is < 2048 or > 8192)
            return "The RSA key is not of 2048 to 8192 bits.";
        if (n.IsEven || exponent.Length > 4 || (exponent[^1] & 1) == 0 || exponent is [1])
            return "The RSA key's modulus or exponent is unsound.";
        return HasRocaFingerprint(n) ? "The RSA key was made by a generator known to be broken." : null;
    }

    private static bool HasRocaFingerprint(BigInteger n) => Array.TrueForAll(RocaPrimes, p =>
    {
        var target = (int)(n % p);
        var power = 1;
        do
        {
            if (power == target)
                return true;
            power = power * 65537 % p;
        }
        while (power != 1);
        return false;
    });
}
