namespace ConformanceServer;

/// <summary>The smallest files of their kinds.</summary>
internal static class Samples
{
    /// <summary>A PNG of one red pixel.</summary>
    public static readonly byte[] Png = Convert.FromBase64String(
        "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==");

    /// <summary>A WAV of no sound at all: 8 kHz, 8 bits, mono, no samples.</summary>
    public static readonly byte[] Wav = Convert.FromBase64String("UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAEAfAAABAAgAZGF0YQAAAAA=");
}
